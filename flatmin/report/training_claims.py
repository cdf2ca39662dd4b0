"""Claims on what training reaches: accuracy, loss, no over-fitting, distance from the start.

They are judged with the batch's BatchNorm statistics; the note gives the same numbers with running averages.
"""

from dataclasses import replace

import pandas as pd

from flatmin.report.claim import UNRECORDED, Claim, Finding
from flatmin.report.eligible import FITTED
from flatmin.report.published import DISTANCE_RATIO, FIGURE_2, FIGURE_3, LARGE, SMALL, TABLE_2
from flatmin.report.studies import StudyResults
from flatmin.report.values import Reading, at_start, curve, minimum
from flatmin.results.intervals import NOT_NEGATIVE, PERCENT, POINTS, Interval, of_difference, of_mean, of_ratio
from flatmin.results.words import significant

RUNNING = "running_"
"""What the names of columns begin with that hold what running averages give."""
PEAK = 1.0
CLOSE = 5.0
ACCURACY_NAMES = {SMALL: "small batch", LARGE: "large batch"}


def with_running(finding: Finding, running: Interval) -> Finding:
    """The finding with the same number by running averages in its note.

    Where the number was not recorded with batch statistics the running averages stand in, and decide nothing.
    """
    if not running.values:
        return finding
    if not finding.interval.values:
        return replace(finding, interval=running, hindrance="; ".join(filter(None, (finding.hindrance, UNRECORDED))))
    beside = f"running averages: {replace(finding, interval=running).numbers}"
    return replace(finding, note="; ".join(part for part in (finding.note, beside) if part))


def accuracy_by(study: StudyResults, regime: str, split: str, statistics: str = "") -> "pd.Series[float]":
    """Accuracy at the minima in per cent by seed, with the batch's statistics or with `RUNNING` averages."""
    return 100 * minimum(study, regime, f"{statistics}{split}_accuracy")


def accuracy_gain(study: StudyResults, regime: str, other: str, statistics: str = "") -> Interval:
    """Test accuracy of one regime less that of another, in points."""
    first, second = (accuracy_by(study, each, "test", statistics) for each in (regime, other))
    return of_difference(first, second, bounds=POINTS)


def both_fit(study: StudyResults, reading: Reading) -> list[Finding]:
    """K1: training accuracy of either regime against 98 %."""
    found = []
    for regime, name in ACCURACY_NAMES.items():
        batch, running = (
            of_mean(accuracy_by(study, regime, "train", statistics), bounds=PERCENT) for statistics in ("", RUNNING)
        )
        found.append(with_running(Finding(name, batch, FITTED, unit=" %", digits=4), running))
    return found


def small_generalises_better(study: StudyResults, reading: Reading) -> list[Finding]:
    """K2: test accuracy, small batch less large batch."""
    batch, running = (accuracy_gain(study, SMALL, LARGE, statistics) for statistics in ("", RUNNING))
    return [with_running(Finding("small − large", batch, unit=" points"), running)]


def losses_are_close(study: StudyResults, reading: Reading) -> list[Finding]:
    """K7: difference of the training losses as a share of the loss at the start, against 5 %."""
    batch, running = (difference_of_losses(study, statistics) for statistics in ("", RUNNING))
    name = "difference, share of the loss at the start"
    return [with_running(Finding(name, batch, CLOSE, "below", " %"), running)]


def difference_of_losses(study: StudyResults, statistics: str) -> Interval:
    """Difference of the training losses at both minima in per cent of the loss at the start."""
    small, large = (minimum(study, regime, f"{statistics}train_loss") for regime in ACCURACY_NAMES)
    start = at_start(study, "train", f"{statistics}loss")
    return of_mean(100 * (small - large).abs() / start, bounds=NOT_NEGATIVE)


def no_peak(study: StudyResults, reading: Reading) -> list[Finding]:
    """K12: best test accuracy of any epoch less the last, against 1 point."""
    found = []
    for regime, name in ACCURACY_NAMES.items():
        batch, running = (drop(study, regime, statistics) for statistics in ("", RUNNING))
        found.append(with_running(Finding(f"{name}: best − last", batch, PEAK, "below", " points"), running))
    return found


def drop(study: StudyResults, regime: str, statistics: str) -> Interval:
    """Best test accuracy of any epoch less the last, in points."""
    test = 100 * curve(study, regime, "test", f"{statistics}accuracy")
    fallen = test.max() - test.ffill().iloc[-1] if len(test) else pd.Series(dtype=float)
    return of_mean(fallen, bounds=PERCENT)


def small_goes_farther(study: StudyResults, reading: Reading) -> list[Finding]:
    """K16: distance from the start, small batch over large batch, against both ends of the paper's range."""
    small, large = (minimum(study, regime, "distance_from_start") for regime in (SMALL, LARGE))
    ratio = of_ratio(small, large)
    low, high = DISTANCE_RATIO
    farther = f"small batch farther: {Finding('', ratio, 1.0).seeds}"
    return [
        Finding("small / large", ratio, low, unit="×", note=farther),
        Finding("the same", ratio, high, "below", "×"),
    ]


def published_fit(network: str) -> str:
    """K1 in Table 2."""
    return "; ".join(
        f"{name} {TABLE_2[network]['train', regime].mean:.2f} %" for regime, name in ACCURACY_NAMES.items()
    )


def published_gap(network: str) -> str:
    """K2 in Table 2."""
    means = [TABLE_2[network]["test", regime].mean for regime in ACCURACY_NAMES]
    return f"{means[0] - means[1]:.2f} points"


def published_losses(network: str) -> str:
    """K7 in Fig. 3."""
    return f"losses {FIGURE_3[network][0]:.2f} and {FIGURE_3[network][1]:.2f} (read-off)"


def published_peak(network: str) -> str:
    """K12 in Fig. 2, which has two of the networks."""
    drops = []
    for regime, name in ACCURACY_NAMES.items():
        test = FIGURE_2.get((network, regime, "test"))
        if test:
            drops.append(f"{name} {significant(max(test.values()) - test[max(test)], 2)} points")
    return f"{'; '.join(drops)} (read-off)" if drops else "no number"


TRAINING_CLAIMS = (
    Claim("K1", "Both fit the training set: accuracy ≥ 98 %", both_fit, published_fit, of_the_pair=True),
    Claim(
        "K2",
        "Small batches generalise better",
        small_generalises_better,
        published_gap,
        of_the_pair=True,
        tells_fit=True,
    ),
    Claim(
        "K7",
        "Both reach similar training losses: they differ by < 5 % of the loss at the start",
        losses_are_close,
        published_losses,
        of_the_pair=True,
    ),
    Claim(
        "K12",
        "No over-fitting: the last test accuracy is < 1 point below the best",
        no_peak,
        published_peak,
        of_the_pair=True,
    ),
    Claim(
        "K16",
        f"Small batches end {DISTANCE_RATIO[0]:g} to {DISTANCE_RATIO[1]:g} times as far from the start",
        small_goes_farther,
        lambda network: f"×{DISTANCE_RATIO[0]:g} to ×{DISTANCE_RATIO[1]:g}",
        of_the_pair=True,
        statistics="",
    ),
)

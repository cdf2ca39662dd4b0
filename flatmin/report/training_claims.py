"""Claims on what training reaches: accuracy, loss, no over-fitting, distance from the start."""

import pandas as pd

from flatmin.figures.captions import significant
from flatmin.report.claim import Claim, Finding
from flatmin.report.published import DISTANCE_RATIO, FIGURE_2, FIGURE_3, LARGE, SMALL, TABLE_2
from flatmin.report.studies import Study
from flatmin.report.values import Reading, accuracy, curve, minimum
from flatmin.results.intervals import of_difference, of_mean, of_ratio

FITTED = 98.0
PEAK = 1.0
CLOSE = 5.0
NAMES = {SMALL: "small batch", LARGE: "large batch"}


def both_fit(study: Study, reading: Reading) -> list[Finding]:
    """K1: training accuracy of either regime against 98 %."""
    return [
        Finding(name, of_mean(accuracy(study, regime, "train")), FITTED, unit=" %", digits=4)
        for regime, name in NAMES.items()
    ]


def small_generalises_better(study: Study, reading: Reading) -> list[Finding]:
    """K2: test accuracy, small batch less large batch."""
    gap = of_difference(accuracy(study, SMALL, "test"), accuracy(study, LARGE, "test"))
    return [Finding("small − large", gap, unit=" points")]


def losses_are_close(study: Study, reading: Reading) -> list[Finding]:
    """K7: difference of the training losses as a share of the loss at the start, against 5 %."""
    losses = [minimum(study, regime, "train_loss") for regime in NAMES]
    start = curve(study, SMALL, "train", "loss").reindex([0]).T[0]
    share = 100 * (losses[0] - losses[1]).abs() / start
    return [Finding("difference, share of the loss at the start", of_mean(share), CLOSE, "below", " %")]


def no_peak(study: Study, reading: Reading) -> list[Finding]:
    """K12: best test accuracy of any epoch less the last, against 1 point."""
    found = []
    for regime, name in NAMES.items():
        test = 100 * curve(study, regime, "test", "accuracy")
        drop = test.max() - test.ffill().iloc[-1] if len(test) else pd.Series(dtype=float)
        found.append(Finding(f"{name}: best − last", of_mean(drop), PEAK, "below", " points"))
    return found


def small_goes_farther(study: Study, reading: Reading) -> list[Finding]:
    """K16: distance from the start, small batch over large batch."""
    small, large = (minimum(study, regime, "distance_from_start") for regime in NAMES)
    ratio = of_ratio(small, large)
    low, high = DISTANCE_RATIO
    place = "within" if low <= ratio.center <= high else "outside"
    return [Finding("small / large", ratio, 1.0, unit="×", note=f"{place} the paper's {low:g} to {high:g}")]


def published_fit(network: str) -> str:
    """K1 in Table 2."""
    return "; ".join(f"{name} {TABLE_2[network]['train', regime].mean:.2f} %" for regime, name in NAMES.items())


def published_gap(network: str) -> str:
    """K2 in Table 2."""
    means = [TABLE_2[network]["test", regime].mean for regime in NAMES]
    return f"{means[0] - means[1]:.2f} points"


def published_losses(network: str) -> str:
    """K7 in Fig. 3."""
    return f"losses {FIGURE_3[network][0]:.2f} and {FIGURE_3[network][1]:.2f} (read-off)"


def published_peak(network: str) -> str:
    """K12 in Fig. 2, which has two of the networks."""
    drops = []
    for regime, name in NAMES.items():
        test = FIGURE_2.get((network, regime, "test"))
        if test:
            drops.append(f"{name} {significant(max(test.values()) - test[max(test)], 2)} points")
    return f"{'; '.join(drops)} (read-off)" if drops else "no number"


CLAIMS = (
    Claim("K1", "Both fit the training set: accuracy ≥ 98 %", both_fit, published_fit, of_the_pair=True),
    Claim("K2", "Small batches generalise better", small_generalises_better, published_gap, of_the_pair=True),
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
        "Small batches end farther from the start",
        small_goes_farther,
        lambda network: "×3 to ×10",
        of_the_pair=True,
    ),
)

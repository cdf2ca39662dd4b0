"""Claims on what the paper tries to mend large-batch training with: its appendix E.

A network that has not fitted its training set tells nothing of a remedy: it may gain or lose when trained further.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from flatmin.report.claim import Claim, Finding, Side
from flatmin.report.eligible import named, unfitted
from flatmin.report.published import EPSILONS, LARGE, SMALL, TABLE_2, TABLE_3, TABLE_6, TABLE_7
from flatmin.report.studies import StudyResults
from flatmin.report.training_claims import RUNNING, accuracy_gain, with_running
from flatmin.report.values import READING_PREFIXES, Reading, sharpness
from flatmin.results.groups import AUGMENTED, CONSERVATIVE
from flatmin.results.intervals import of_ratio

HELPLESS = ("adversarial", "stability")
NO_GAIN = 0.5
GAIN = "test accuracy, gain on large batch"


def gain_on_large(
    study: StudyResults, regime: str, what: str, boundary: float = 0.0, wanted: Side = "above"
) -> Finding:
    """Test accuracy of a remedy less that of the plain large batch."""
    batch, running = (accuracy_gain(study, regime, LARGE, statistics) for statistics in ("", RUNNING))
    lacking = unfitted(study, (regime, LARGE))
    finding = Finding(what, batch, boundary, wanted, " points", "" if lacking else "both fitted", hindrance=lacking)
    return with_running(finding, running)


def times_as_sharp(study: StudyResults, reading: Reading, regime: str, other: str, wanted: Side) -> Finding:
    """Sharpness of a remedy over that of another regime."""
    ratio = of_ratio(sharpness(study, regime, reading), sharpness(study, other, reading))
    lacking = unfitted(study, (regime, other))
    name = f"sharpness, {named(regime)} / {named(other)}"
    return Finding(name, ratio, 1.0, wanted, "×", "" if lacking else "both fitted", hindrance=lacking)


def augmentation_helps(study: StudyResults, reading: Reading) -> list[Finding]:
    """K18: augmented large batches generalise better, and end flatter than plain ones but sharper than small ones."""
    return [
        gain_on_large(study, AUGMENTED[LARGE], GAIN),
        times_as_sharp(study, reading, AUGMENTED[LARGE], LARGE, "below"),
        times_as_sharp(study, reading, AUGMENTED[LARGE], SMALL, "above"),
    ]


def conservative_helps(study: StudyResults, reading: Reading) -> list[Finding]:
    """K19: conservative training generalises better than plain large batches; its sharpness is told beside."""
    ratio = times_as_sharp(study, reading, CONSERVATIVE, LARGE, "above")
    told = f"{ratio.what} {ratio.numbers if ratio.interval.values else 'not measured'}"
    found = gain_on_large(study, CONSERVATIVE, GAIN)
    return [replace(found, note="; ".join(part for part in (found.note, told) if part))]


def robustness_does_not_help(study: StudyResults, reading: Reading) -> list[Finding]:
    """K20: gain of adversarial and stability training, against half a point."""
    return [gain_on_large(study, name, f"{name}: gain", NO_GAIN, "below") for name in HELPLESS]


def comparing(*regimes: str) -> Callable[[StudyResults], Sequence[str]]:
    """These regimes, whatever the study."""
    return lambda study: regimes


def published_augmentation(network: str) -> str:
    """K18 in Tables 2, 3 and 6."""
    if network not in TABLE_6:
        return "not tried"
    gain = TABLE_6[network]["test", AUGMENTED[LARGE]].mean - TABLE_2[network]["test", LARGE].mean
    phi = TABLE_6[network][LARGE, EPSILONS[0]].mean
    ratios = [phi / TABLE_3[network][regime, EPSILONS[0]].mean for regime in (LARGE, SMALL)]
    return f"{gain:.2f} points; ×{ratios[0]:.2f}; ×{ratios[1]:.1f}"


def published_conservative(network: str) -> str:
    """K19 in Tables 2, 3 and 7."""
    gain = TABLE_7[network]["test", CONSERVATIVE].mean - TABLE_2[network]["test", LARGE].mean
    ratio = TABLE_7[network][CONSERVATIVE, EPSILONS[0]].mean / TABLE_3[network][LARGE, EPSILONS[0]].mean
    return f"{gain:.2f} points; sharpness ×{ratio:.2f}"


REMEDY_CLAIMS = (
    Claim(
        "K18",
        "Augmentation: large batches generalise better; sharpness below plain large batch, above small batch",
        augmentation_helps,
        published_augmentation,
        tuple(TABLE_6),
        READING_PREFIXES,
        compares=comparing(SMALL, LARGE, AUGMENTED[LARGE]),
    ),
    Claim(
        "K19",
        "Conservative training: large batches generalise better",
        conservative_helps,
        published_conservative,
        compares=comparing(LARGE, CONSERVATIVE),
    ),
    Claim(
        "K20",
        "Adversarial and stability training do not help: gain < 0.5 points",
        robustness_does_not_help,
        lambda network: "no gain, no numbers",
        compares=comparing(LARGE, *HELPLESS),
    ),
)

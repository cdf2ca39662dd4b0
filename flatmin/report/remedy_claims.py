"""Claims on what the paper tries to mend large-batch training with: its appendix E."""

from flatmin.report.claim import Claim, Finding
from flatmin.report.published import EPSILONS, LARGE, SMALL, TABLE_2, TABLE_3, TABLE_6, TABLE_7
from flatmin.report.studies import Study
from flatmin.report.values import READINGS, Reading, accuracy, sharpness
from flatmin.results.intervals import of_difference, of_ratio

AUGMENTED = "large_batch_augmented"
CONSERVATIVE = "conservative"
HELPLESS = ("adversarial", "stability")
NO_GAIN = 0.5
GAIN = "test accuracy, gain on large batch"


def augmentation_helps(study: Study, reading: Reading) -> list[Finding]:
    """K18: augmented large batches generalise better, and end flatter than plain ones but sharper than small ones."""
    small, large, augmented = (sharpness(study, regime, reading) for regime in (SMALL, LARGE, AUGMENTED))
    gain = of_difference(accuracy(study, AUGMENTED, "test"), accuracy(study, LARGE, "test"))
    return [
        Finding(GAIN, gain, unit=" points"),
        Finding("sharpness, augmented / large batch", of_ratio(augmented, large), 1.0, "below", "×"),
        Finding("sharpness, augmented / small batch", of_ratio(augmented, small), 1.0, unit="×"),
    ]


def conservative_helps(study: Study, reading: Reading) -> list[Finding]:
    """K19: conservative training generalises better than plain large batches; its sharpness is told beside."""
    gain = of_difference(accuracy(study, CONSERVATIVE, "test"), accuracy(study, LARGE, "test"))
    times = Finding(
        "sharpness ratio",
        of_ratio(sharpness(study, CONSERVATIVE, reading), sharpness(study, LARGE, reading)),
        1.0,
        unit="×",
    )
    return [Finding(GAIN, gain, unit=" points", note=times.text)]


def robustness_does_not_help(study: Study, reading: Reading) -> list[Finding]:
    """K20: gain of adversarial and stability training, against half a point."""
    plain = accuracy(study, LARGE, "test")
    return [
        Finding(f"{name}: gain", of_difference(accuracy(study, name, "test"), plain), NO_GAIN, "below", " points")
        for name in HELPLESS
    ]


def published_augmentation(network: str) -> str:
    """K18 in Tables 2, 3 and 6."""
    if network not in TABLE_6:
        return "not tried"
    gain = TABLE_6[network]["test", AUGMENTED].mean - TABLE_2[network]["test", LARGE].mean
    phi = TABLE_6[network][LARGE, EPSILONS[0]].mean
    ratios = [phi / TABLE_3[network][regime, EPSILONS[0]].mean for regime in (LARGE, SMALL)]
    return f"{gain:.2f} points; ×{ratios[0]:.2f}; ×{ratios[1]:.1f}"


def published_conservative(network: str) -> str:
    """K19 in Tables 2, 3 and 7."""
    gain = TABLE_7[network]["test", CONSERVATIVE].mean - TABLE_2[network]["test", LARGE].mean
    ratio = TABLE_7[network][CONSERVATIVE, EPSILONS[0]].mean / TABLE_3[network][LARGE, EPSILONS[0]].mean
    return f"{gain:.2f} points; sharpness ×{ratio:.2f}"


CLAIMS = (
    Claim(
        "K18",
        "Augmentation: large batches generalise better; sharpness below plain large batch, above small batch",
        augmentation_helps,
        published_augmentation,
        tuple(TABLE_6),
        READINGS,
    ),
    Claim(
        "K19",
        "Conservative training: large batches generalise better",
        conservative_helps,
        published_conservative,
    ),
    Claim(
        "K20",
        "Adversarial and stability training do not help: gain < 0.5 points",
        robustness_does_not_help,
        lambda network: "no gain, no numbers",
    ),
)

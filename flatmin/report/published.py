"""The numbers of Keskar et al. (2017) as data: tables in full, figures as read off.

Accuracies and sharpness are in per cent, losses in nats, as printed. What is named after a figure was read off its
curves: good to half a per cent of the axis where the figure is drawn in vectors, to one per cent elsewhere.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

NETWORKS = ("F1", "F2", "C1", "C2", "C3", "C4")
DATA = {"F1": "mnist", "F2": "timit", "C1": "cifar10", "C2": "cifar10", "C3": "cifar100", "C4": "cifar100"}
EPSILONS = (1e-3, 5e-4)
TRIALS = 5
EPOCHS = 100
SUBSPACE_DIM = 100
WIDTH = 512
LOSS_CEILING = 16.118
SMALL, LARGE = "small_batch", "large_batch"

Column = TypeVar("Column", bound=Hashable)


class Spread(NamedTuple):
    """A mean and its standard deviation over five trials."""

    mean: float
    std: float


def _rows(text: str) -> dict[str, list[float]]:
    """Numbers by the name that opens their line."""
    lines = [line.split() for line in text.strip().splitlines()]
    return {name: [float(number) for number in numbers] for name, *numbers in lines}


def _spreads(columns: Sequence[Column], text: str) -> dict[str, dict[Column, Spread]]:
    """Means, each followed by its deviation, by network and column."""
    return {
        network: {column: Spread(mean, std) for column, mean, std in zip(columns, row[::2], row[1::2], strict=True)}
        for network, row in _rows(text).items()
    }


def _curves(places: Sequence[float], text: str) -> dict[str, dict[float, float]]:
    """Values by name and place."""
    return {name: dict(zip(places, row, strict=True)) for name, row in _rows(text).items()}


TABLE_2 = _spreads(
    [("train", SMALL), ("train", LARGE), ("test", SMALL), ("test", LARGE)],
    """
    F1  99.66 0.05  99.92 0.01  98.03 0.07  97.81 0.07
    F2  99.99 0.03  98.35 2.08  64.02 0.2   59.45 1.05
    C1  99.89 0.02  99.66 0.2   80.04 0.12  77.26 0.42
    C2  99.99 0.04  99.99 0.01  89.24 0.12  87.26 0.07
    C3  99.56 0.44  99.88 0.30  49.58 0.39  46.45 0.43
    C4  99.10 1.23  99.57 1.84  63.08 0.5   57.81 0.17
    """,
)
"""Accuracy by split and regime."""

_SHARPNESS = [(SMALL, 1e-3), (LARGE, 1e-3), (SMALL, 5e-4), (LARGE, 5e-4)]

TABLE_3 = _spreads(
    _SHARPNESS,
    """
    F1   1.23 0.83  205.14 69.52  0.61 0.27   42.90 17.14
    F2   1.39 0.02  310.64 38.46  0.90 0.05   93.15 6.81
    C1  28.58 3.13  707.23 43.04  7.08 0.88  227.31 23.23
    C2   8.68 1.32  925.32 38.29  2.07 0.86  175.31 18.28
    C3  29.85 5.98  258.75 8.96   8.56 0.99  105.11 13.22
    C4  12.83 3.84  421.84 36.97  4.07 0.87  109.35 16.57
    """,
)
"""Sharpness in the full space by regime and epsilon."""

TABLE_4 = _spreads(
    _SHARPNESS,
    """
    F1   0.11 0.00    9.22 0.56   0.05 0.00   9.17 0.14
    F2   0.29 0.02   23.63 0.54   0.05 0.00   6.28 0.19
    C1   2.18 0.23  137.25 21.60  0.71 0.15  29.50 7.48
    C2   0.95 0.34   25.09 2.61   0.31 0.08   5.82 0.52
    C3  17.02 2.20  236.03 31.26  4.03 1.45  86.96 27.39
    C4   6.05 1.13   72.99 10.96  1.89 0.33  19.85 4.12
    """,
)
"""Sharpness in random subspaces of 100 dimensions by regime and epsilon."""

TABLE_6 = _spreads(
    [("test", "small_batch_augmented"), ("test", "large_batch_augmented"), *((LARGE, e) for e in EPSILONS)],
    """
    C1  83.63 0.14  82.50 0.67  231.77 30.50   45.89 3.83
    C2  89.82 0.12  90.26 1.15  468.65 47.86  105.22 19.57
    C3  54.55 0.44  53.03 0.33  103.68 11.93   37.67 3.46
    C4  63.05 0.5   65.88 0.13  271.06 29.69   45.31 5.93
    """,
)
"""With augmented data: test accuracy, and sharpness of the large-batch minimum by epsilon."""

TABLE_7 = _spreads(
    [("test", SMALL), ("test", "conservative"), *(("conservative", e) for e in EPSILONS)],
    """
    F1  98.03 0.07  98.12 0.01   232.25 63.81    46.02 12.58
    F2  64.02 0.2   61.94 1.10   928.40 51.63   190.77 25.33
    C1  80.04 0.12  78.41 0.22   520.34 34.91   171.19 15.13
    C2  89.24 0.05  88.495 0.63  632.01 208.01  108.88 47.36
    C3  49.58 0.39  45.98 0.54   337.92 33.09   110.69 3.88
    C4  63.08 0.10  62.51 0.67   354.94 20.23    68.76 16.29
    """,
)
"""Conservative training: test accuracy, and sharpness of its large-batch minimum by epsilon."""

_EPOCHS: tuple[float, ...] = (1, 5, 10, 20, 40, 60, 80, 99)

FIGURE_2: dict[tuple[str, str, str], dict[float, float]] = {
    ("F2", SMALL, "train"): dict(zip(_EPOCHS, (39.7, 62.4, 73.6, 85.8, 93.4, 95.6, 96.7, 97.2), strict=True)),
    ("F2", SMALL, "test"): dict(zip(_EPOCHS, (47.0, 57.4, 60.8, 62.8, 63.6, 64.1, 64.5, 64.7), strict=True)),
    ("F2", LARGE, "train"): dict(zip(_EPOCHS, (11.0, 38.3, 51.7, 61.8, 74.1, 83.0, 90.2, 93.8), strict=True)),
    ("F2", LARGE, "test"): dict(zip(_EPOCHS, (16.4, 39.9, 49.8, 55.5, 58.9, 60.0, 61.0, 60.8), strict=True)),
    ("C1", SMALL, "train"): dict(zip(_EPOCHS, (44.9, 73.6, 82.5, 91.8, 96.5, 97.8, 98.3, 98.5), strict=True)),
    ("C1", SMALL, "test"): dict(zip(_EPOCHS, (62.5, 75.8, 79.2, 80.3, 80.1, 81.0, 80.5, 80.3), strict=True)),
    ("C1", LARGE, "train"): dict(zip(_EPOCHS, (29.6, 58.9, 70.5, 80.7, 92.8, 96.9, 98.1, 98.7), strict=True)),
    ("C1", LARGE, "test"): dict(zip(_EPOCHS, (49.0, 65.5, 72.2, 76.3, 77.1, 77.3, 77.5, 77.1), strict=True)),
}
"""Accuracy by network, regime and split, then epoch; read off."""

FIGURE_3 = _curves(
    (-1, -0.5, 0, 0.5, 0.75, 1, 1.125, 1.25, 1.5, 2),
    """
    F1   .02  .01 .01  .00  .00  .00  .24 1.71  7.15 11.34
    F2  3.72  .34 .00  .87 1.61  .19 2.51 7.97 10.39 12.19
    C1   .88  .09 .00  .14  .87  .00 2.79 7.13  6.97  5.32
    C2  1.88  .06 .00  .06 1.71  .00  .06 1.36  3.08  6.05
    C3  1.94  .23 .02  .51 2.32  .01 4.98 9.68  9.41  9.06
    C4  4.47 2.23 .04  .98 9.03  .01  .52 4.99  8.99 10.52
    """,
)
"""Training loss on the straight path by network, then place (0 small batch, 1 large batch); read off."""

FIGURE_7 = _curves(
    (-1, -0.5, -0.25, 0, 0.5, 0.75, 1, 1.125, 1.5, 2),
    """
    F1  16.06 2.30  .11 .01  .00   .00 .00 1.52 2.29 16.06
    F2  16.00 7.66  .79 .00 1.43  2.41 .19 6.88 9.18 16.12
    C1  15.83 2.30  .44 .00  .24  1.08 .00 4.93 2.27 15.92
    C2  15.89 2.33  .82 .00  .09  1.66 .00 1.09 3.06 15.53
    C3  16.03 4.61 1.37 .02  .71  2.82 .01 7.11 4.67 16.10
    C4  16.08 4.71 4.11 .04 1.55 11.12 .01 3.57 6.97 16.08
    """,
)
"""Training loss on the curved path by network, then place; read off."""

FIGURE_4: dict[str, dict[int, tuple[float, float, float]]] = {
    "C1": {
        **{100: (79.1, 4, 1.5), 364: (79.1, 21, 4), 497: (78.0, 53, 10), 1027: (77.8, 201, 33)},
        **{2086: (77.2, 461, 91), 3013: (76.0, 630, 188), 4072: (76.2, 582, 174), 5000: (75.7, 631, 190)},
    },
    "F2": {
        **{1500: (64.1, 118, 21), 7500: (64.8, 362, 187), 13500: (63.9, 517, 109), 15500: (62.9, 918, 298)},
        **{17500: (60.9, 551, 257), 29500: (61.4, 1004, 369), 43500: (60.3, 1351, 372), 61500: (59.5, 688, 338)},
    },
}
"""Test accuracy and sharpness at both epsilons by network, then batch size; read off."""

THRESHOLDS = {"C1": 500, "F2": 15_000}
"""Batch sizes beyond which the accuracy falls, as the paper's text states them."""

FIGURE_5: dict[str, dict[int, tuple[float, float, float]]] = {
    "F2": {
        **{0: (47.5, 60.4, 158), 5: (58.4, 62.9, 82), 10: (61.2, 63.9, 68), 15: (62.3, 64.7, 2.6)},
        **{20: (62.7, 65.2, 0.025), 40: (63.6, 66.2, 0.003), 60: (64.0, 66.5, 0.002)},
        **{80: (64.2, 66.5, 0.017), 95: (64.7, 66.6, 0.021)},
    },
    "C1": {
        **{0: (62.6, 77.6, 532), 5: (75.4, 79.9, 385), 10: (79.2, 80.2, 171), 15: (79.5, 80.7, 91)},
        **{20: (80.1, 80.4, 57), 40: (79.8, 81.0, 10), 60: (80.1, 80.9, 5.6), 80: (80.3, 81.0, 1.4)},
        **{95: (80.6, 81.0, 2.3)},
    },
}
"""Test accuracy of the small-batch iterate, of the large-batch solution from it, and the sharpness of the latter at
epsilon 1e-3, by network, then epoch of the iterate (0 is the one after the first epoch); read off."""

FIGURE_6: dict[tuple[str, str], tuple[tuple[float, float], ...]] = {
    ("C1", LARGE): ((1.79, 50), (1.03, 151), (0.53, 302), (0.24, 499), (0.11, 702), (0.04, 760)),
    ("C1", SMALL): ((1.19, 68), (0.61, 54), (0.18, 32), (0.072, 15), (0.041, 6.4), (0.032, 5.2)),
    ("F2", LARGE): ((5.4, 28), (1.9, 116), (0.67, 331), (0.27, 961), (0.026, 961), (0.026, 1304)),
    ("F2", SMALL): ((1.71, 20), (0.25, 5.6), (0.084, 1.5), (0.049, 0.8)),
}
"""Training loss and sharpness at epsilon 1e-3 along one training by network and regime; read off."""

DISTANCE_RATIO = (3.0, 10.0)
"""Range of the small-batch distance from the start over the large-batch one, as the paper's text states it."""

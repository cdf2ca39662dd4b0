r"""What Keskar et al. (2017) state of their set-up, as a table of the networks and as LaTeX macros.

The macros, such as ``\flatminProtocolTrials``, let the report's text name a setting without typing its number. The
weights are those of the default variant with all biases, counted on our networks.
"""

from typing import NamedTuple

import pandas as pd

from flatmin.report.published import (
    DISTANCE_RATIO,
    EPOCHS,
    EPSILONS,
    LOSS_CEILING,
    NETWORKS,
    SUBSPACE_DIM,
    THRESHOLDS,
    TRIALS,
)
from flatmin.report.sheet import Sheet
from flatmin.results.intervals import LEVEL


class SetUp(NamedTuple):
    """A network and its data as the paper has them."""

    data: str
    train: int
    test: int
    features: int
    classes: int
    layers: str
    weights: int


SET_UPS = {
    "F1": SetUp("MNIST", 60_000, 10_000, 784, 10, "5 fully connected of 512", 1_462_794),
    "F2": SetUp("TIMIT", 721_329, 310_621, 360, 1_973, "7 fully connected of 512", 2_780_085),
    "C1": SetUp("CIFAR-10", 50_000, 10_000, 3_072, 10, "2 convolutional, 2 fully connected", 1_757_834),
    "C2": SetUp("CIFAR-10", 50_000, 10_000, 3_072, 10, "13 convolutional, 1 fully connected", 14_991_946),
    "C3": SetUp("CIFAR-100", 50_000, 10_000, 3_072, 100, "as C1", 1_775_204),
    "C4": SetUp("CIFAR-100", 50_000, 10_000, 3_072, 100, "as C2", 15_038_116),
}

PROTOCOL = {
    "Networks": str(len(NETWORKS)),
    "Trials": str(TRIALS),
    "Epochs": str(EPOCHS),
    "CodeEpochs": "20",
    "SmallBatch": "256",
    "LargeShare": "10 %",
    "LearningRate": "0.001",
    "Epsilon": f"{EPSILONS[0]:g}",
    "EpsilonHalf": f"{EPSILONS[1]:g}",
    "SubspaceDim": str(SUBSPACE_DIM),
    "Iterations": "10",
    "Ceiling": f"{LOSS_CEILING:g}",
    "PathPoints": "25",
    "PathLow": "−1",
    "PathHigh": "2",
    "ThresholdCOne": f"{THRESHOLDS['C1']:,}",
    "ThresholdFTwo": f"{THRESHOLDS['F2']:,}",
    "DistanceLow": f"{DISTANCE_RATIO[0]:g}",
    "DistanceHigh": f"{DISTANCE_RATIO[1]:g}",
    "ProximalSteps": "3",
    "ProximalWeight": "0.001",
    "Rotation": "10",
    "Translation": "0.2",
    "Dropout": "0.5",
    "CodeDropout": "0.3 or 0.4",
    "Level": f"{100 * LEVEL:g} %",
    "Inputs": f"{SET_UPS['F2'].features:,}",
    "States": f"{SET_UPS['F2'].classes:,}",
}


def networks_sheet() -> Sheet:
    """Return the networks and their data as a table."""
    lines = [
        [network, *setup[:1], *(f"{number:,}" for number in setup[1:5]), setup.layers, f"{setup.weights:,}"]
        for network, setup in SET_UPS.items()
    ]
    columns = ["", "data", "train", "test", "features", "classes", "hidden layers", "weights"]
    caption = "The networks and data of the paper; weights of our networks, in the variant of the authors' code."
    return Sheet("networks", caption, pd.DataFrame(lines, columns=columns), sides="llrrrrlr")

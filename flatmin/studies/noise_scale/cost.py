r"""Where large batches begin to cost: the critical batch size, beside the gradient-noise scale.

With the best learning rate for each batch size B, the updates S to a given loss obey (McCandlish et al., 2018)

.. math:: (S / S_{\min} - 1) (E / E_{\min} - 1) = 1, \quad E = S B, \quad \text{that is} \quad S = S_{\min} +
    E_{\min} / B, \quad B_{\mathrm{crit}} = E_{\min} / S_{\min}.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from flatmin.results import Tables
from flatmin.results.intervals import Interval, of_mean
from flatmin.studies.noise_scale.grid import LEVELS, NETWORKS, NOISE, REACHED
from flatmin.studies.noise_scale.judged import seed_of


class Hyperbola(NamedTuple):
    """Fewest updates, with batches without end, and fewest examples, with one a step."""

    updates: float
    examples: float

    @property
    def critical(self) -> float:
        """The batch size at which either is twice its least."""
        return self.examples / self.updates

    def at(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Updates with batches of these sizes."""
        return self.updates + self.examples / sizes


def fitted(sizes: NDArray[np.float64], updates: NDArray[np.float64]) -> Hyperbola:
    """The hyperbola of least squares in the logarithm of the updates.

    Example:
        >>> sizes = np.array([1.0, 10.0, 100.0, 1000.0])
        >>> found = fitted(sizes, 50 + 5000 / sizes)
        >>> round(found.updates, 3), round(found.examples, 1), round(found.critical, 2)
        (50.0, 5000.0, 100.0)
    """
    start = np.log([updates.min(), (updates * sizes).min()])
    found = least_squares(lambda logs: np.log(Hyperbola(*np.exp(logs)).at(sizes) / updates), start)
    return Hyperbola(*(float(value) for value in np.exp(found.x)))


def fastest(tables: Tables) -> pd.DataFrame:
    """For each seed and size the fewest updates to the target over all learning rates; ``edge`` at the largest."""
    rows = tables.frames[NETWORKS]
    rows = rows[(rows["reading"] == "equal_loss") & (rows["status"] == REACHED)]
    best = rows.loc[rows.groupby(["seed", "batch_size"])["updates"].idxmin()]
    named = best[["seed", "batch_size", "learning_rate", "updates"]].reset_index(drop=True)
    highest = tables.frames[NETWORKS]["learning_rate"].max()
    return named.assign(edge=named["learning_rate"] == highest)


def critical_size(best: pd.DataFrame) -> Interval:
    """The t interval of the geometric mean of the critical batch size over seeds; its values are sizes."""
    found = {
        seed_of(part): fitted(part["batch_size"].to_numpy(dtype=np.float64), part["updates"].to_numpy(dtype=np.float64))
        for _, part in best.groupby("seed")
        if len(part) >= 3
    }
    logs = of_mean(pd.Series({seed: math.log(one.critical) for seed, one in found.items()}, dtype=np.float64))
    center, low, high = (math.exp(end) for end in (logs.center, logs.low, logs.high))
    return Interval(center, low, high, tuple(math.exp(value) for value in logs.values), logs.seeds)


def noise_by_loss(tables: Tables) -> pd.DataFrame:
    """The noise scale at the start and at each level of the loss: sums over seeds, variance over squared gradient.

    ``told`` where the squared gradient is more than twice its standard error from 0.
    """
    rows = tables.frames[NOISE]
    levels = np.array([math.inf, *LEVELS])
    level = [
        math.inf if epoch == 0 else levels[levels >= loss].min()
        for epoch, loss in rows[["epoch", "train_loss"]].to_numpy()
    ]
    found = []
    for value, part in rows.assign(level=level).groupby("level", sort=False):
        signal, error = part["signal"].sum(), math.sqrt((part["signal_error"] ** 2).sum())
        found.append(
            {
                "level": value,
                "train_loss": part["train_loss"].mean(),
                "noise_scale": part["variance"].sum() / signal if signal > 0 else math.nan,
                "told": bool(signal > 2 * error),
                "networks": len(part),
            }
        )
    frame = pd.DataFrame(found, columns=["level", "train_loss", "noise_scale", "told", "networks"])
    return frame.sort_values("level", ascending=False).reset_index(drop=True)

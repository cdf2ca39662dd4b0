"""The times of a study as numbers: medians and quartiles, what each limit alone would cost, intervals of ratios."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatmin.results import Tables
from flatmin.studies.speed.steps import TIMES, WORK

LIMITS = {"overhead": "overhead", "memory": "memory traffic", "arithmetic": "arithmetic"}
RESAMPLES, LEVEL = 4000, 0.95


Rows = Any
"""What `per_size` returns."""


def per_size(tables: Tables) -> Rows:
    """One row for each batch size.

    Seconds of an update (``update``, with quartiles ``low`` and ``high``), of taking its batch (``input``) and of an
    epoch, which is so many of both (``epoch``) or was timed whole (``whole``, else NaN). What an update would take if
    nothing but one thing had to be done: ``overhead``, that of a network as deep with one unit a layer on one example;
    ``memory``, its bytes at the speed of a copy as large as what it touches; ``arithmetic``, its operations at the
    speed of a product of large matrices. ``limit`` is the largest of the three, ``explained`` its share of the update.
    """
    times, work = tables.frames[TIMES], tables.frames[WORK].sort_values("batch_size")
    rows: Rows = work.set_index(work["batch_size"].astype(int))
    update = grouped(times, "update")
    rows = rows.assign(update=update.median(), low=update.quantile(0.25), high=update.quantile(0.75))
    rows["repeats"] = update.count()
    rows["input"] = grouped(times, "input").median()
    rows["overhead"] = median_of(times, "overhead", "seconds")
    copies = times[times["of"] == "copy"]
    speed = (copies["amount"] / copies["seconds"]).groupby(copies["batch_size"].astype(int)).median()
    rows["bandwidth"], rows["memory"] = speed, rows["bytes"] / speed
    products = times[times["of"] == "product"]
    rows["peak"] = float((products["amount"] / products["seconds"]).median())
    rows["arithmetic"] = rows["flops"] / rows["peak"]
    rows["epoch"] = rows["updates"] * (rows["update"] + rows["input"])
    rows["whole"] = grouped(times, "epoch").median()
    rows["throughput"] = rows["batch_size"] / (rows["update"] + rows["input"])
    rows["limit"] = rows[[*LIMITS]].idxmax(axis=1)
    rows["explained"] = rows[[*LIMITS]].max(axis=1) / rows["update"]
    return rows


def grouped(times: pd.DataFrame, of: str) -> Any:
    """The seconds of something by batch size."""
    rows = times[times["of"] == of]
    return rows["seconds"].groupby(rows["batch_size"].astype(int))


def median_of(times: pd.DataFrame, of: str, column: str) -> float:
    """The median of a column over the visits of something."""
    return float(times.loc[times["of"] == of, column].median())


def visits(tables: Tables, size: int) -> NDArray[np.float64]:
    """Seconds of an update with batches of a size, one number a visit."""
    rows = tables.frames[TIMES]
    chosen = (rows["of"] == "update") & (rows["batch_size"] == size)
    return rows.loc[chosen, "seconds"].to_numpy(dtype=np.float64)


def ratio(
    above: NDArray[np.float64], below: NDArray[np.float64], plus: tuple[float, float] = (0, 0)
) -> tuple[float, float, float]:
    """The ratio of two medians with its 95 % interval: percentiles of a bootstrap over the visits.

    Args:
        above: Seconds of the visits in the numerator.
        below: Those in the denominator.
        plus: What is added to either median.

    Returns:
        The ratio, and both ends.

    Example:
        >>> ratio(np.array([4.0, 4.0]), np.array([2.0, 2.0]))
        (2.0, 2.0, 2.0)
    """
    generator = np.random.default_rng(0)
    drawn = [np.median(generator.choice(of, (RESAMPLES, len(of))), axis=1) for of in (above, below)]
    ratios = (drawn[0] + plus[0]) / (drawn[1] + plus[1])
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float((np.median(above) + plus[0]) / (np.median(below) + plus[1])), float(low), float(high)


def reached(rows: Rows, times: float) -> float:
    """The batch size from which an update takes so many times that of the smallest; NaN if none does.

    Between two sizes both are taken as lines on logarithmic axes.
    """
    sizes = rows["batch_size"].to_numpy(dtype=float)
    factors = rows["update"].to_numpy(dtype=float) / float(rows["update"].iloc[0])
    over = np.flatnonzero(factors >= times)
    if not len(over) or over[0] == 0:
        return float("nan")
    place = over[0]
    two = slice(place - 1, place + 1)
    return float(np.exp(np.interp(np.log(times), np.log(factors[two]), np.log(sizes[two]))))

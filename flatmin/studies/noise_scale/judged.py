r"""How much the ratio of learning rate to batch size explains, and where it ceases to.

Of each quantity y, for each seed by itself and then over seeds:

- the share of its variance over the grid that the levels of lr/B, of lr and of B explain, each alone:
  :math:`1 - \\frac{SSE / (n - L)}{SST / (n - 1)}` for n networks on L levels, so that more levels are no advantage;
- the power p in :math:`y = a + b \\log(lr / B^p)`, by least squares: 1 for the ratio, 1/2 for square-root scaling;
- Spearman's rank correlation with the ratio;
- how far y is from its value at smaller learning rates of the same ratio.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from flatmin.results import Tables
from flatmin.results.intervals import CORRELATION, Interval, of_mean
from flatmin.studies.noise_scale.grid import NETWORKS, REACHED, READINGS, SHARPNESS, SHORT

KEY = ["batch_size", "learning_rate", "seed", "reading"]
QUANTITIES = {
    "top_eigenvalue": "largest eigenvalue",
    "adaptive": "adaptive sharpness",
    "test_accuracy": "test accuracy",
    "epochs": "epochs to the target",
    "train_loss": "training loss",
}
LOGARITHMIC = ("top_eigenvalue", "adaptive", "epochs", "train_loss")
ASKED = {
    "equal_loss": ("top_eigenvalue", "adaptive", "test_accuracy", "epochs"),
    "equal_epochs": ("top_eigenvalue", "adaptive", "test_accuracy", "train_loss"),
}
READING_NAMES = {"equal_loss": "at the same loss", "equal_epochs": "after equal epochs"}
MONOTONE = 0.5
"""The rank correlation with lr/B below which no power is told: what rises and falls again follows none."""
DIGITS = 9
"""Of a ratio of floats, so that 0.02 / 4 is 0.04 / 8."""


def networks(tables: Tables, reading: str) -> pd.DataFrame:
    """The networks that a reading has, with their sharpness; what spans decades as logarithms, in ``y_NAME``."""
    rows = tables.frames[NETWORKS].merge(tables.frames[SHARPNESS], how="left", on=KEY)
    rows = rows[(rows["reading"] == reading) & (rows["status"] == REACHED)]
    ratio = rows["learning_rate"] / rows["batch_size"]
    rows = rows.assign(ratio=[float(f"{value:.{DIGITS}g}") for value in ratio])
    for name in ASKED[reading]:
        values = rows[name].where(rows[name] > 0) if name in LOGARITHMIC else 100 * rows[name]
        rows[f"y_{name}"] = np.log(values) if name in LOGARITHMIC else values
    return rows


def share(values: NDArray[np.float64], levels: "pd.Series[float]") -> float:
    """The share of the variance that the means of levels explain, adjusted for their number; NaN if they are too many.

    Example:
        >>> share(np.array([1.0, 1.0, 3.0, 3.0]), pd.Series([0, 0, 1, 1]))
        1.0
    """
    count, total = levels.nunique(), float(((values - values.mean()) ** 2).sum())
    if len(values) <= count or total == 0:
        return math.nan
    within = values - pd.Series(values).groupby(levels.to_numpy()).transform("mean").to_numpy()
    return 1 - (float((within**2).sum()) / (len(values) - count)) / (total / (len(values) - 1))


def power(values: NDArray[np.float64], rates: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """The p of lr / B^p that the values follow, by least squares in logarithms; NaN where it is not fixed.

    Example:
        >>> rates, sizes = np.array([1.0, 2.0, 1.0, 4.0]), np.array([1.0, 4.0, 4.0, 2.0])
        >>> round(power(np.log(rates / np.sqrt(sizes)), rates, sizes), 6)
        0.5
    """
    design = np.stack([np.ones_like(rates), np.log(rates), np.log(sizes)], axis=1)
    if len(values) < 4 or np.linalg.matrix_rank(design) < 3:
        return math.nan
    _, of_rate, of_size = np.linalg.lstsq(design, values, rcond=None)[0]
    return float(-of_size / of_rate) if of_rate else math.nan


def rank(values: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; NaN where either is constant."""
    constant = len(values) < 2 or min(np.ptp(values), np.ptp(others)) == 0
    return math.nan if constant else float(spearmanr(values, others).statistic)


def seed_of(part: pd.DataFrame) -> int:
    """The seed of rows of one seed."""
    return int(part["seed"].iloc[0])


def by_seed(rows: pd.DataFrame, name: str, of: Callable[[pd.DataFrame, NDArray[np.float64]], float]) -> Interval:
    """What is found of the networks of each seed, and the t interval of the mean over seeds."""
    rows = rows.dropna(subset=[name])
    found = {seed_of(part): of(part, part[name].to_numpy(dtype=np.float64)) for _, part in rows.groupby("seed")}
    return of_mean(pd.Series(found, dtype=np.float64))


def explained(tables: Tables, most: float = math.inf) -> pd.DataFrame:
    """A row for each reading and quantity, of rates up to ``most``; ends of intervals as ``_low``, ``_high``."""
    found = []
    for reading in READINGS:
        rows = networks(tables, reading)
        rows = rows[rows["learning_rate"] <= most]
        for quantity in ASKED[reading]:
            row: dict[str, float | str] = {"reading": reading, "quantity": quantity, "n": len(rows)}
            for name, interval in statistics(rows, f"y_{quantity}").items():
                row |= {name: interval.center, f"{name}_low": interval.low, f"{name}_high": interval.high}
            found.append(row)
    return pd.DataFrame(found)


def statistics(rows: pd.DataFrame, name: str) -> dict[str, Interval]:
    """All that is asked of a quantity, each with its interval over seeds."""

    def levels(column: str) -> Interval:
        found = by_seed(rows, name, lambda part, values: share(values, part[column]))
        return replace(found, high=min(found.high, 1.0)) if found.exists else found

    def ahead(column: str) -> Interval:
        return by_seed(rows, name, lambda part, values: share(values, part["ratio"]) - share(values, part[column]))

    ranks = by_seed(rows, name, lambda part, values: rank(values, part["ratio"].to_numpy(dtype=np.float64)))
    return {
        "ratio": levels("ratio"),
        "rate": levels("learning_rate"),
        "size": levels("batch_size"),
        "ahead_of_rate": ahead("learning_rate"),
        "ahead_of_size": ahead("batch_size"),
        "power": by_seed(rows, name, _power if abs(ranks.center) >= MONOTONE else lambda part, values: math.nan),
        "rank": of_mean(pd.Series(dict(zip(ranks.seeds, ranks.values, strict=True))), bounds=CORRELATION),
    }


def _power(part: pd.DataFrame, values: NDArray[np.float64]) -> float:
    return power(values, *(part[column].to_numpy(dtype=np.float64) for column in ("learning_rate", "batch_size")))


def departures(rows: pd.DataFrame, name: str) -> dict[float, Interval]:
    """For each learning rate, how far the quantity is from its mean over smaller rates of the same ratio and seed."""
    rows, found = rows.dropna(subset=[name]).sort_values("learning_rate"), list[dict[str, float]]()
    for _, part in rows.groupby(["seed", "ratio"]):
        values = part[name].to_numpy(dtype=np.float64)
        for place in range(1, len(part)):
            off = values[place] - values[:place].mean()
            found.append({"rate": part["learning_rate"].iloc[place], "seed": seed_of(part), "off": off})
    frame = pd.DataFrame(found, columns=["rate", "seed", "off"])
    each = frame.groupby(["rate", "seed"])["off"].mean()
    return {float(rate): of_mean(each.loc[rate]) for rate in sorted(frame["rate"].unique())}


def breaking(found: dict[float, Interval], least: float) -> float:
    """The rate from which on all depart by more than ``least``, their intervals without 0; infinite if none."""
    broken = math.inf
    for rate in sorted(found, reverse=True):
        interval = found[rate]
        if not (abs(interval.center) > least and (interval.low > 0 or interval.high < 0)):
            break
        broken = rate
    return broken


def best_sizes(tables: Tables, reading: str) -> pd.DataFrame:
    """The batch size of the best test accuracy, for each seed and learning rate.

    ``censored`` where a better one may lie beyond: at an end of the grid, or beside a network that had no time to get
    to the target. Below that are batches with which training fails, and they are known to be worse.
    """
    rows = tables.frames[NETWORKS]
    rows, found = rows[rows["reading"] == reading], list[dict[Any, Any]]()
    for _, part in rows.groupby(["seed", "learning_rate"]):
        part = part.sort_values("batch_size").reset_index(drop=True)
        good = part[part["status"] == REACHED]
        if good.empty:
            continue
        place = int(good.index[int(good["test_accuracy"].to_numpy().argmax())])
        beside = part["status"].iloc[max(place - 1, 0) : place + 2]
        censored = place in (0, len(part) - 1) or (beside == SHORT).any()
        named = part[["seed", "learning_rate", "batch_size"]].iloc[place].to_dict()
        found.append({**named, "censored": bool(censored)})
    return pd.DataFrame(found, columns=["seed", "learning_rate", "batch_size", "censored"])


def slope_of_best(best: pd.DataFrame) -> Interval:
    """The slope of log B_opt against log lr over the learning rates that are not censored, by seed."""
    found = {}
    for _, part in best[~best["censored"].astype(bool)].groupby("seed"):
        if part["learning_rate"].nunique() >= 3:
            found[seed_of(part)] = float(np.polyfit(np.log(part["learning_rate"]), np.log(part["batch_size"]), 1)[0])
    return of_mean(pd.Series(found, dtype=np.float64))


def cells(tables: Tables) -> pd.DataFrame:
    """The mean over seeds of each cell of the grid and reading, with how many seeds it has."""
    parts = []
    for reading in READINGS:
        rows = networks(tables, reading)
        if len(rows):
            wanted = [name for name in QUANTITIES if name in rows]
            means = rows.groupby(["learning_rate", "batch_size"])[wanted].mean()
            parts.append(means.assign(reading=reading, networks=rows.groupby(["learning_rate", "batch_size"]).size()))
    if not parts:
        return pd.DataFrame(columns=["reading", "learning_rate", "batch_size", "networks", *QUANTITIES])
    whole = pd.concat(parts).reset_index()
    return whole[["reading", "learning_rate", "batch_size", "networks", *QUANTITIES]]


def tabled(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """How much lr/B, lr and B explain of each quantity, with the power and the rank correlation."""
    rows = explained(tables)
    columns = {"ratio": "lr/B", "rate": "lr", "size": "B", "power": "p of lr/B^p", "rank": "Spearman with lr/B"}
    for reading, part in rows.groupby("reading", sort=False):
        shown = pd.DataFrame({"quantity": [QUANTITIES[name] for name in part["quantity"]], "networks": part["n"]})
        for name, title in columns.items():
            ends = zip(part[name], part[f"{name}_low"], part[f"{name}_high"], strict=True)
            shown[title] = ["" if math.isnan(one[0]) else "{:.2f} [{:.2f}, {:.2f}]".format(*one) for one in ends]
        yield (
            f"{READING_NAMES[str(reading)].capitalize()}: share of the variance over the grid that lr/B, lr and B each "
            "explain, adjusted for the number of levels, the power p of B that the quantity follows where it rises or "
            f"falls with lr/B throughout (rank correlation of {MONOTONE:g} or more); 95 % t intervals over seeds.",
            shown.reset_index(drop=True),
        )

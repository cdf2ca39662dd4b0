"""Means, spreads and ratios over the seeds of an experiment."""

from typing import Any

import pandas as pd

from flatmin.results.tables import Tables

CHANCE = "chance"
DIVERGED = "diverged"
NO_MINIMUM = (DIVERGED, CHANCE)
"""How trainings end that have left no minimum: with a loss that is not finite, or with the accuracy of a guess."""
PAIR = ("small_batch", "large_batch")
OF_BOTH = "both"
"""What stands for the regime of a slice through both minima."""
RUN = ["network", "data", "regime"]
SETTING = ["space", "subspace_dim", "distribution", "epsilon", "method", "batch_norm", "examples"]


def summary(tables: Tables) -> pd.DataFrame:
    """Mean and sample standard deviation over seeds of accuracy (of loss, for real targets) and sharpness.

    Diverged trainings are left out; `seeds` counts those that are in. Draws of a random subspace are averaged within a
    seed first. One seed has no standard deviation: it is NaN, not zero.

    Args:
        tables: An experiment's tables.

    Returns:
        One row per network, data set, regime, quantity ("test_accuracy", "train_accuracy", "sharpness") and, for
        sharpness, setting of the search (NaN for the accuracies), with `mean`, `std` and `seeds`. Networks that
        were measured on their way are not among them.
    """
    finite = tables.minima[tables.minima["status"] != DIVERGED]
    accuracies = finite.melt(id_vars=[*RUN, "seed"], value_vars=quantities(finite), var_name="quantity")
    sharpness = per_seed(tables).rename(columns={"sharpness": "value"}).assign(quantity="sharpness")
    keys = [*RUN, "quantity", *SETTING]
    filled = [frame for frame in (accuracies, sharpness) if len(frame)]
    rows = pd.concat(filled or [sharpness], ignore_index=True).reindex(columns=[*keys, "value"])
    spread = rows.groupby(keys, dropna=False, sort=False)["value"].agg(["mean", "std", "count"])
    return spread.rename(columns={"count": "seeds"}).reset_index()


def quantities(minima: pd.DataFrame) -> list[str]:
    """What is said of minima beside their sharpness: accuracies, or, where targets are real and have none, losses."""
    accuracies, losses = ["test_accuracy", "train_accuracy"], ["test_loss", "train_loss"]
    return losses if len(minima) and minima[accuracies].isna().all(axis=None) else accuracies


def ratios(tables: Tables) -> pd.DataFrame:
    """How many times sharper the large-batch minima are.

    Args:
        tables: An experiment's tables.

    Returns:
        One row per network, data set and setting of the search: the mean sharpness of either regime over its
        seeds, their `ratio` large / small, the `lowest` and `highest` ratio of a single seed, and the number of
        `seeds` that have both regimes. A regime that was not measured gives NaN.
    """
    keys = ["network", "data", *SETTING]
    wide = per_seed(tables).pivot(index=[*keys, "seed"], columns="regime", values="sharpness")
    wide = wide.reindex(columns=[*PAIR]).astype("float64").dropna(how="all").reset_index()
    wide["each"] = wide["large_batch"] / wide["small_batch"]
    frame = wide.groupby(keys, dropna=False, sort=False).agg(
        small_batch=("small_batch", "mean"),
        large_batch=("large_batch", "mean"),
        lowest=("each", "min"),
        highest=("each", "max"),
        seeds=("each", "count"),
    )
    frame.insert(2, "ratio", frame["large_batch"] / frame["small_batch"])
    return frame.reset_index()


def per_seed(tables: Tables) -> pd.DataFrame:
    """Sharpness of the minima, the draws of each seed averaged.

    Args:
        tables: An experiment's tables.

    Returns:
        One row per network, data set, regime, seed and setting of the search, with `sharpness` in per cent.
    """
    keys = [*RUN, "seed", *SETTING]
    return of_minima(tables.sharpness).groupby(keys, dropna=False, sort=False)["sharpness"].mean().reset_index()


def proper(minima: pd.DataFrame) -> pd.DataFrame:
    """The trainings that have left a minimum."""
    return minima[~minima["status"].isin(NO_MINIMUM)]


def lost(minima: pd.DataFrame) -> pd.DataFrame:
    """The trainings that have left no minimum."""
    return minima[minima["status"].isin(NO_MINIMUM)]


def with_minima(tables: Tables) -> Tables:
    """The tables without all that was measured of trainings that have left no minimum.

    Slices through both minima go where either is none. Without such trainings these are the same tables.
    """
    gone = lost(tables.minima)[[*RUN, "seed"]]
    if gone.empty:
        return tables
    through_both = gone[gone["regime"].isin(PAIR)].assign(regime=OF_BOTH)
    keys = pd.MultiIndex.from_frame(pd.concat([gone, through_both]))
    kept: dict[str, Any] = {
        name: rows[~pd.MultiIndex.from_frame(rows[[*RUN, "seed"]]).isin(keys)]
        for name, rows in tables.frames.items()
        if "regime" in rows
    }
    return tables.having(**kept)


def of_minima(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The searches at minima, without those of networks on their way to one."""
    return sharpness[sharpness["epoch"].isna()]

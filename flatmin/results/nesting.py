"""Searches in boxes one inside the other: a maximum over the larger box is never less than one over the smaller.

A search that finds less in a larger box than it found in a smaller one has missed at least that much. The boxes of one
point differ in epsilon alone; all else that fixes what is searched is in `SEARCH`.
"""

import pandas as pd

NESTED_SEARCH = [
    *("network", "data", "regime", "seed", "epoch", "space", "subspace_dim", "distribution", "draw"),
    *("method", "batch_norm", "examples", "partition"),
]
NEST_ROUNDING = 1e-6
"""What single precision leaves open of a loss, as a share of one plus the loss."""


def nested(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The searches that were made in a smaller box too.

    Args:
        sharpness: The table `sharpness`, or rows of it, each search once.

    Returns:
        These rows with `smaller_epsilon` and `found_there`: the most that was found in a smaller box, and in which.
    """
    rows = sharpness.sort_values("epsilon", kind="stable")
    highest = _by_search(rows, rows["sharpness"]).cummax()
    record = rows["epsilon"].where(rows["sharpness"] == highest)
    below = pd.DataFrame({"smaller_epsilon": record, "found_there": highest})
    for column in below:
        below[column] = _by_search(rows, _by_search(rows, below[column]).ffill()).shift()
    found = rows.join(below)
    return found[found["found_there"].notna() & found["sharpness"].notna()].sort_index()


def impossible(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The searches that found less than they had found in a smaller box, by more than rounding.

    Args:
        sharpness: The table `sharpness`, or rows of it, each search once.

    Returns:
        The rows as `nested` returns them.
    """
    rows = nested(sharpness)
    return rows[is_impossible(rows)]


def is_impossible(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which of the `nested` searches found less than in the smaller box.

    Sharpness is the rise of the loss in per cent of one plus the loss at the start, so that one plus the loss at the
    worst point is in proportion to ``1 + sharpness / 100``.
    """
    return rows["found_there"] - rows["sharpness"] > 100 * NEST_ROUNDING * (1 + rows["sharpness"] / 100)


def _by_search(
    rows: pd.DataFrame, values: "pd.Series[float]"
) -> "pd.api.typing.SeriesGroupBy[float, tuple[object, ...]]":
    return values.groupby([rows[column] for column in NESTED_SEARCH], dropna=False, sort=False)

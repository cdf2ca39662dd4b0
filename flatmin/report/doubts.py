"""What speaks against a sharpness in a table: the examples it was taken on, and more found in a smaller box."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flatmin.figures.captions import significant, span
from flatmin.report.cells import RATIO, Column, Row
from flatmin.report.studies import Study

DAGGER = "†"
DAGGER_NOTE = f"{DAGGER} In one seed or more less than in a smaller box: not a maximum."
BOX = [
    *("network", "data", "regime", "seed", "epoch", "space", "subspace_dim", "distribution", "draw"),
    *("method", "batch_norm", "examples", "partition"),
]
"""What tells searches apart whose boxes lie one in the other."""


def less_than_in_a_smaller_box(searches: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each search found less than the same search found in a smaller box, so that it is no maximum.

    Args:
        searches: Rows of the table ``sharpness``, all boxes of a network.

    Example:
        >>> rows = pd.DataFrame({"seed": [0, 0, 1, 1], "epsilon": [1e-3, 5e-4] * 2, "sharpness": [10, 50, 9, 3]})
        >>> less_than_in_a_smaller_box(rows).tolist()
        [True, False, False, False]
    """
    keys = [column for column in BOX if column in searches]
    ordered = searches.sort_values("epsilon", kind="stable")
    best = ordered.assign(best=ordered.groupby(keys, dropna=False)["sharpness"].cummax())
    found: pd.Series[bool] = ordered["sharpness"] < best.groupby(keys, dropna=False)["best"].shift()
    return found.reindex(searches.index)


def dagger(column: Column, study: Study, row: Row) -> str:
    """The mark of a cell behind which a search found less than in a smaller box; empty for others."""
    rows = column.searched(study, row)
    flags = less_than_in_a_smaller_box(study.tables.sharpness)
    return DAGGER if len(rows) and flags.loc[rows.index].any() else ""


def error_of(column: Column, study: Study, row: Row) -> float:
    """Standard error over examples of a cell, the mean over its seeds; NaN for a ratio and where all were used."""
    rows = column.searched(study, row) if column.name != RATIO else pd.DataFrame()
    errors = rows["standard_error"].astype(float) if len(rows) else pd.Series(dtype=float)
    return float(errors[errors > 0].mean())


def examples_note(columns: Sequence[Column], study: Study, rows: Sequence[Row]) -> str:
    """How far the values of a study depend on the examples they were taken on; empty where these were all.

    One row has the standard error of each of its values, several the range of their shares of the values.
    """
    cells = [(column, row) for row in rows for column in columns if not np.isnan(error_of(column, study, row))]
    if not cells:
        return ""
    searched = pd.concat([column.searched(study, row) for column, row in cells])
    lead = f"Standard error over the {span(searched['examples'], 'example')} searched on"
    if len(rows) == 1:
        each = [
            f"{column.name} {significant(error_of(column, study, row), 2)} at {column.group}" for column, row in cells
        ]
        return f"{lead} (%): {'; '.join(each)}."
    shares = [100 * error_of(column, study, row) / column.ours(study, row).mean for column, row in cells]
    ends = dict.fromkeys(significant(end, 2) for end in (min(shares), max(shares)))
    return f"{lead}: {' to '.join(ends)} % of the value."

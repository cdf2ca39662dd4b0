"""What speaks against a sharpness in a table: the examples it was taken on, and more found in a smaller box."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flatmin.report.cells import RATIO, Column, TableRow
from flatmin.report.studies import StudyResults, once
from flatmin.results.nesting import impossible
from flatmin.results.words import significant, span

DAGGER = "†"
DAGGER_NOTE = f"{DAGGER} In one seed or more less than in a smaller box: not a maximum."


def dagger(column: Column, study: StudyResults, row: TableRow) -> str:
    """The mark of a cell behind which a search found less than in a smaller box; empty for others."""
    return DAGGER if column.searched(study, row).index.isin(found_less(study)).any() else ""


@once
def found_less(study: StudyResults) -> "pd.Index[int]":
    """The rows of the table `sharpness` whose search found less than in a smaller box."""
    return impossible(study.tables.sharpness).index


def error_of(column: Column, study: StudyResults, row: TableRow) -> float:
    """Standard error over examples of a cell, the mean over its seeds; NaN for a ratio and where all were used."""
    rows = column.searched(study, row) if column.name != RATIO else pd.DataFrame()
    errors = rows["standard_error"].astype(float) if len(rows) else pd.Series(dtype=float)
    return float(errors[errors > 0].mean())


def examples_note(columns: Sequence[Column], study: StudyResults, rows: Sequence[TableRow]) -> str:
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

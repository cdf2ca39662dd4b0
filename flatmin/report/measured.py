"""The measures beyond the paper's, in one table: both minima, and how much more there is at the large-batch one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from flatmin.report.held_out import interval_text
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults
from flatmin.results.intervals import of_ratio
from flatmin.results.measured import Measure, by_rule, in_words, pairs, setting_columns
from flatmin.results.statistics import PAIR, with_minima
from flatmin.results.words import BATCH_NORM_NAMES, counted, significant

MEASURED_CAPTION = (
    "Measures beyond the paper's at the minima: means over seeds; ratio: large over small batch, geometric mean over "
    "the seeds that have both, with its 95 % interval."
)


def measured_sheet(studies: Sequence[StudyResults]) -> Sheet | None:
    """What was measured by such measures, study by study; ``None`` where nothing was."""
    lines: list[list[str]] = []
    for study in studies:
        tables = with_minima(study.tables)
        for measure in by_rule():
            groups = pairs(tables, measure).groupby(setting_columns(measure), sort=False, dropna=False)
            found = [measured_line(measure, rows) for _, rows in groups]
            if found:
                lines += [[f"{study.label}: {measure.words}", *[""] * 4], *found]
    if not lines:
        return None
    return Sheet("measured", MEASURED_CAPTION, pd.DataFrame(lines, columns=["", *MEASURED_COLUMNS]), sides="lrrrr")


MEASURED_COLUMNS = ("small batch", "large batch", "ratio", "seeds")


def measured_line(measure: Measure[Any], rows: pd.DataFrame) -> list[str]:
    """One setting of a measure."""
    first = rows.iloc[0]
    reading = BATCH_NORM_NAMES.get(first["batch_norm"], first["batch_norm"])
    facts = [in_words(measure, first), reading, counted(int(first["examples"]), "example")]
    values = [significant(float(rows[regime].mean())) for regime in PAIR]
    numbers = rows.set_index("seed")[list(PAIR)].astype(float)
    both = numbers[numbers.gt(0).all(axis=1) & numbers.lt(np.inf).all(axis=1)]
    ratio = of_ratio(both["large_batch"], both["small_batch"])
    return [f"  {', '.join(fact for fact in facts if fact)}", *values, interval_text(ratio), str(len(both))]

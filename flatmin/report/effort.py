"""What the sharpness found owes to the search: the highest value of every climber from every start."""

import numpy as np
import pandas as pd

from flatmin.figures.effort import CLIMBER_NAMES
from flatmin.report.cells import Cell, Column, Table, TableRow
from flatmin.report.columns import COLUMN_NAMES, ratios
from flatmin.report.published import EPSILONS
from flatmin.report.studies import StudyResults, once
from flatmin.report.values import Reading
from flatmin.results.words import BATCH_NORM_NAMES

START_WORDS = {"centre": "the centre", "sign": "halfway to the gradient's corner", "random": "a random point"}


@once
def climbs(study: StudyResults) -> pd.DataFrame:
    """The climbs in the full space at the paper's larger epsilon, on the most examples, with their `method`."""
    rows = study.tables.effort
    rows = rows[(rows["space"] == "full") & np.isclose(rows["epsilon"].astype(float), EPSILONS[0])]
    rows = rows[rows["examples"] == rows["examples"].max()]
    found: pd.DataFrame = rows.assign(method=rows["climber"] + " " + rows["start"])
    return found


def each_climb(study: StudyResults) -> list[TableRow]:
    """A row for each climber and start, in one order for all studies."""
    rows = climbs(study).drop_duplicates("method")
    known = (f"{climber} {start}" for climber in CLIMBER_NAMES for start in START_WORDS)
    place = {name: number for number, name in enumerate(known)}
    rows = rows.sort_values("method", key=lambda names: names.map(place), kind="stable")
    pairs = rows[["climber", "start"]].itertuples(index=False)
    return [
        TableRow(
            f"{CLIMBER_NAMES.get(climber, climber)} from {START_WORDS.get(start, start)}",
            Reading(f"{climber} {start}", ""),
            macro=f"{climber} {start}".title().replace("_", "").replace(" ", ""),
        )
        for climber, start in pairs
    ]


@once
def highest_by_seed(study: StudyResults, regime: str, batch_norm: str, method: str) -> "pd.Series[float]":
    """The highest sharpness that climbs of one kind found, in per cent by seed."""
    rows = climbs(study)
    rows = rows[(rows["regime"] == regime) & (rows["batch_norm"] == batch_norm)]
    found: pd.Series[float] = rows[rows["method"] == method].groupby("seed")["sharpness"].max()
    return found


def highest_climb(name: str, regime: str, batch_norm: str) -> Column:
    """The highest sharpness that a climb found, in per cent."""

    def ours(study: StudyResults, row: TableRow) -> Cell:
        return Cell.over(highest_by_seed(study, regime, batch_norm, row.reading.method))

    macro = f"Effort{batch_norm.title()}{name.title()}"
    return Column(BATCH_NORM_NAMES[batch_norm], name, ours, regime=regime, macro=macro)


def of_the_pair(batch_norm: str) -> list[Column]:
    """Both regimes and their ratio, large over small."""
    small, large = (highest_climb(name, regime, batch_norm) for regime, name in COLUMN_NAMES.items())
    return [small, large, ratios(large, small, small.macro.removesuffix("Small"))]


EFFORT = Table(
    "effort",
    f"The highest sharpness (%) that each climber found from each start, in the full space at ε = {EPSILONS[0]:g}; "
    "ratio of the means. The published search is the first iterations of L-BFGS-B from the centre.",
    [column for batch_norm in ("batch", "running") for column in of_the_pair(batch_norm)],
    each_climb,
    measured="effort",
    title="effort of the search",
)
"""Made of every study that asked."""

"""The columns that the report's tables are made of."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from flatmin.report.cells import RATIO, Cell, Column, TableRow
from flatmin.report.published import DISTANCE_RATIO, EPSILONS, LARGE, SMALL, Spread
from flatmin.report.studies import StudyResults
from flatmin.report.values import minimum, searches, sharpness

COLUMN_NAMES = {SMALL: "small", LARGE: "large"}

Paper = Callable[[str], Spread | float | str | None]


def nothing(network: str) -> None:
    """The paper's cell where it has no number."""
    return None


def printed(table: Mapping[str, Mapping[Any, Spread]], key: Hashable) -> Paper:
    """The paper's cells in one column of a table."""
    return lambda network: table.get(network, {}).get(key)


def accuracies(group: str, name: str, regime: str, split: str, paper: Paper = nothing, macro: str = "") -> Column:
    """Accuracy in per cent in the row's reading of BatchNorm; without a regime, that of the row's."""

    def ours(study: StudyResults, row: TableRow) -> Cell:
        prefix = "running_" if row.reading.batch_norm == "running" else ""
        return Cell.over(100 * minimum(study, regime or row.regime, f"{prefix}{split}_accuracy"))

    return Column(group, name, ours, paper, 2, regime, macro or f"{split} {name}".title().replace(" ", ""))


def sharpnesses(
    name: str, regime: str, epsilon: float, paper: Paper = nothing, space: str = "full", macro: str = "Sharpness"
) -> Column:
    """Sharpness in per cent; without a regime, that of the row's."""

    def ours(study: StudyResults, row: TableRow) -> Cell:
        asked: Any = {"space": space, "epsilon": epsilon, "distribution": row.distribution}
        return Cell.over(sharpness(study, regime or row.regime, row.reading, **asked))

    def searched(study: StudyResults, row: TableRow) -> pd.DataFrame:
        rows = searches(study, row.reading, space=space, epsilon=epsilon, distribution=row.distribution)
        return rows[rows["regime"] == (regime or row.regime)]

    half = "" if epsilon == EPSILONS[0] else "Half"
    named = f"{macro}{half}{name.title()}"
    return Column(f"ε = {epsilon:g}", name, ours, paper, regime=regime, macro=named, searched=searched)


def ratios(above: Column, below: Column, macro: str, paper: Paper | None = None) -> Column:
    """The ratio of two columns' means; the paper's too, unless given."""

    def theirs(network: str) -> float | None:
        spreads = [column.paper(network) for column in (above, below)]
        means = [spread.mean for spread in spreads if isinstance(spread, Spread)]
        return means[0] / means[1] if len(means) == 2 else None

    def ours(study: StudyResults, row: TableRow) -> Cell:
        return Cell.ratio(above.ours(study, row), below.ours(study, row))

    def searched(study: StudyResults, row: TableRow) -> pd.DataFrame:
        return pd.concat([column.searched(study, row) for column in (above, below)])

    return Column(above.group, RATIO, ours, paper or theirs, macro=f"{macro}Ratio", searched=searched)


def sharpness_of_the_pair(table: Mapping[str, Mapping[Any, Spread]], space: str) -> list[Column]:
    """Both regimes and their ratio, large over small, at both epsilons."""
    macro = {"full": "Sharpness", "random": "Subspace"}[space]
    found: list[Column] = []
    for epsilon in EPSILONS:
        small, large = (
            sharpnesses(name, regime, epsilon, printed(table, (regime, epsilon)), space, macro)
            for regime, name in COLUMN_NAMES.items()
        )
        found += [small, large, ratios(large, small, small.macro.removesuffix("Small"))]
    return found


def distances() -> list[Column]:
    """Distances of the minima from the start and their ratio, small over large."""

    def distance(regime: str, name: str) -> Column:
        def ours(study: StudyResults, row: TableRow) -> Cell:
            return Cell.over(minimum(study, regime, "distance_from_start"))

        return Column("distance from the start", name, ours, regime=regime, macro=f"Distance{name.title()}")

    small, large = (distance(regime, name) for regime, name in COLUMN_NAMES.items())
    low, high = DISTANCE_RATIO
    return [small, large, ratios(small, large, "Distance", lambda network: f"{low:g}–{high:g}")]

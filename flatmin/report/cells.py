"""Tables as values: what stands in a cell, where it comes from, and the paper's number beside it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flatmin.report.published import NETWORKS, Spread
from flatmin.report.studies import StudyResults
from flatmin.report.values import HEADLINE, Reading
from flatmin.results.statistics import NO_MINIMUM
from flatmin.results.summary_text import plus_minus
from flatmin.results.words import significant

NOT_RUN = "not run"
RATIO = "ratio"


@dataclass(frozen=True)
class TableRow:
    """What a row of a table holds of a study.

    Attributes:
        label: What tells it from the other rows of the study; empty where there is one.
        reading: How sharpness is read.
        distribution: Of the entries of A in a random subspace.
        regime: How the network was trained, where rows differ in it.
        macro: What it adds to the name of a LaTeX macro.
    """

    label: str = ""
    reading: Reading = HEADLINE
    distribution: str = "normal"
    regime: str = ""
    macro: str = ""


@dataclass(frozen=True)
class Cell:
    """A number over seeds.

    Attributes:
        mean: The mean, or a ratio of means; NaN without seeds.
        std: Sample standard deviation; NaN for fewer than two seeds and for ratios.
        seeds: The seeds behind it.
    """

    mean: float
    std: float
    seeds: tuple[int, ...]

    @classmethod
    def over(cls, values: "pd.Series[float]") -> "Cell":
        """Mean and spread of values by seed; where none was recorded NaN, with the seeds that have none."""
        known = values.dropna()
        seeds = (known if len(known) else values).index
        return cls(float(known.mean()), float(known.std()), tuple(int(seed) for seed in seeds))

    @classmethod
    def ratio(cls, above: "Cell", below: "Cell") -> "Cell":
        """The ratio of two means, as one takes it from a printed table; NaN unless both are positive and finite."""
        usable = all(0 < cell.mean < math.inf for cell in (above, below))
        seeds = tuple(seed for seed in above.seeds if seed in below.seeds)
        return cls(above.mean / below.mean if usable else math.nan, math.nan, seeds)


def no_search(study: StudyResults, row: TableRow) -> pd.DataFrame:
    """Nothing, for a column that is no sharpness."""
    return pd.DataFrame()


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        group: The heading over it and its neighbours.
        name: Its own.
        ours: The cell of a study.
        paper: The paper's for a network: a number, text, or ``None``.
        digits: Decimal places; without, three significant digits.
        regime: The training it is about, to say "diverged" or "chance" where that left no minimum.
        macro: What it adds to the name of a LaTeX macro, such as ``TestSmall``.
        searched: The rows of the table ``sharpness`` behind a cell.
    """

    group: str
    name: str
    ours: Callable[[StudyResults, TableRow], Cell]
    paper: Callable[[str], Spread | float | str | None] = lambda network: None
    digits: int | None = None
    regime: str = ""
    macro: str = ""
    searched: Callable[[StudyResults, TableRow], pd.DataFrame] = no_search

    def text(self, study: StudyResults, row: TableRow) -> str:
        """What stands in a study's cell."""
        cell = self.ours(study, row)
        if not math.isnan(cell.mean):
            return plus_minus(cell.mean, cell.std, self.digits)
        minima = study.tables.minima
        lost = minima.loc[minima["regime"] == (self.regime or row.regime), "status"]
        lost = lost[lost.isin(NO_MINIMUM)]
        return str(lost.iloc[0]) if len(lost) else "–" if cell.seeds else NOT_RUN

    def paper_spread(self, network: str) -> Spread:
        """The paper's number, NaN where it has none."""
        found = self.paper(network)
        if isinstance(found, Spread):
            return found
        return Spread(found if isinstance(found, float) else math.nan, math.nan)

    def paper_text(self, network: str) -> str:
        """What stands in the paper's cell: its tables have two decimal places."""
        found = self.paper(network)
        if isinstance(found, Spread):
            return plus_minus(*found, 2)
        if isinstance(found, float):
            return significant(found)
        return found or "–"


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Of its files.
        caption: In plain text.
        columns: Beside the one of labels.
        rows: What it shows of a study; nothing where the study has none of it.
        networks: Those that always appear.
        measured: The table of results it shows, where that is a measure.
        title: In a few words.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Callable[[StudyResults], list[TableRow]] = lambda study: [TableRow()]
    networks: tuple[str, ...] = NETWORKS
    measured: str = ""
    title: str = ""

    def entries(self, studies: Sequence[StudyResults], network: str) -> list[tuple[StudyResults, TableRow]]:
        """The rows of a network."""
        return [(study, row) for study in studies if study.network == network for row in self.rows(study)]


def tidy(table: Table, studies: Sequence[StudyResults]) -> pd.DataFrame:
    """A table with one row per cell, each with the study, seeds and commits it comes from.

    Args:
        table: The table.
        studies: The studies.

    Returns:
        The columns are those of `facts`; a network without a study has its rows with the paper's numbers alone.
    """
    found = []
    for network in table.networks:
        entries = table.entries(studies, network)
        for column in table.columns:
            paper = column.paper_spread(network)
            place = {"table": table.name, "network": network, "quantity": column.group, "column": column.name}
            beside = {"paper_mean": paper.mean, "paper_std": paper.std}
            for study, row in entries:
                setting = reading_facts(row) if table.measured else {}
                found.append(place | facts(study, row, column.ours(study, row)) | setting | beside)
            if not entries:
                found.append(place | beside)
    return pd.DataFrame(found).reindex(columns=list(TIDY_COLUMNS))


TIDY_COLUMNS = (
    *("table", "network", "study", "data", "variant", "row", "quantity", "column", "mean", "std", "count", "seeds"),
    *("epochs", "method", "batch_norm", "distribution", "paper_mean", "paper_std", "reduced", "commits"),
)


def facts(study: StudyResults, row: TableRow, cell: Cell) -> dict[str, Any]:
    """A cell and all that it rests on."""
    reduced = "; ".join(remark.text for remark in study.reduced)
    return {
        **{"study": study.name, "data": study.data, "variant": study.variant, "row": row.label},
        **{"mean": cell.mean, "std": cell.std, "count": len(cell.seeds), "seeds": " ".join(map(str, cell.seeds))},
        **{"epochs": study.epochs, "reduced": reduced, "commits": " ".join(study.commits)},
    }


def reading_facts(row: TableRow) -> dict[str, str]:
    """How sharpness was read."""
    return {
        "method": row.reading.method,
        "batch_norm": row.reading.batch_norm,
        "distribution": row.distribution,
    }

"""Tables laid out: the paper's row of a network first, then ours, with what is reduced in notes below."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import pandas as pd

from flatmin.figures.captions import concerning, counted
from flatmin.figures.style import DATA_NAMES
from flatmin.report.cells import Row, Table
from flatmin.report.published import DATA
from flatmin.report.sheet import Sheet
from flatmin.report.studies import Study

AUTHORS = "Keskar et al."
NOT_RUN = "not run"
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Notes:
    """Numbered notes below a table; equal ones share a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The raised number of a note; empty for an empty one."""
        return raised(self._numbers.setdefault(text, len(self._numbers) + 1)) if text else ""

    @property
    def texts(self) -> list[str]:
        """The notes with their numbers."""
        return [f"{raised(number)} {text}" for text, number in self._numbers.items()]


def raised(number: int) -> str:
    """A number in superscript digits.

    Example:
        >>> raised(12)
        '¹²'
    """
    return str(number).translate(RAISED)


def sheet(table: Table, studies: Sequence[Study]) -> Sheet:
    """A table ready to print.

    Args:
        table: The table.
        studies: The studies; a network of the table without one is shown as not run.
    """
    notes = Notes()
    width = len(table.columns)
    lines: list[list[str]] = []
    for network in table.networks:
        entries = table.entries(studies, network)
        lines.append([f"{network}, {DATA_NAMES[DATA[network]]}", *[""] * width])
        paper = [column.paper_text(network) for column in table.columns]
        if set(paper) != {"–"}:
            lines.append([f"  {AUTHORS}", *paper])
        for study, rows in groupby(entries, key=itemgetter(0)):
            mark = notes.mark(reductions(study, table.measured))
            lines += study_lines(table, study, [row for _, row in rows], mark)
        if not entries:
            lines.append([f"  {NOT_RUN}", *[""] * width])
    columns = pd.MultiIndex.from_tuples([("", ""), *((column.group, column.name) for column in table.columns)])
    frame = pd.DataFrame(lines, columns=columns)
    return Sheet(table.name, table.caption, frame, notes.texts, sides=f"l{'r' * width}")


def study_lines(table: Table, study: Study, rows: Sequence[Row], mark: str) -> list[list[str]]:
    """The lines of a study: its label before the numbers, or above them where there are several rows."""
    label = ", ".join(fact for fact in (study.kind, counted(len(study.seeds), "seed")) if fact)
    names = [", ".join(part for part in (row.label, fewer_seeds(table, study, row)) if part) for row in rows]
    numbers = [[column.text(study, row) for column in table.columns] for row in rows]
    if len(rows) == 1:
        return [[f"  {', '.join(part for part in (label, names[0]) if part)}{mark}", *numbers[0]]]
    above = [f"  {label}{mark}:", *[""] * len(table.columns)]
    return [above, *([f"  {name}", *cells] for name, cells in zip(names, numbers, strict=True))]


def fewer_seeds(table: Table, study: Study, row: Row) -> str:
    """How many of the study's seeds a row rests on; empty where that is all of them, or none."""
    counts = {len(column.ours(study, row).seeds) for column in table.columns} - {0}
    if counts <= {len(study.seeds)}:
        return ""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} of them"


def reductions(study: Study, measured: str) -> str:
    """What of a study is reduced, as far as it concerns a table, in one sentence."""
    sentences = concerning(study.reduced, measured)
    return f"{'. '.join(sentences)}." if sentences else ""

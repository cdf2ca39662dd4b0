"""Tables laid out: the paper's row of a network first, then ours, with what is reduced or in doubt in notes below."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

import pandas as pd

from flatmin.report.cells import NOT_RUN, Table, TableRow
from flatmin.report.doubts import DAGGER, DAGGER_NOTE, dagger, examples_note
from flatmin.report.published import DATA
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults
from flatmin.results.remarks import concerning
from flatmin.results.words import DATA_NAMES, counted

AUTHORS = "Keskar et al."
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


def sheet(table: Table, studies: Sequence[StudyResults]) -> Sheet:
    """A table ready to print, with what was run; `not_run_sheet` has the rest.

    Args:
        table: The table.
        studies: The studies; rows with nothing but "not run", and networks without rows, are left out.
    """
    notes = Notes()
    width = len(table.columns)
    lines: list[list[str]] = []
    for network in table.networks:
        entries = run_entries(table, studies, network)
        if not entries:
            continue
        lines.append([f"{network}, {DATA_NAMES[DATA[network]]}", *[""] * width])
        paper = [column.paper_text(network) for column in table.columns]
        if set(paper) != {"–"}:
            lines.append([f"  {AUTHORS}", *paper])
        for study, rows in groupby(entries, key=itemgetter(0)):
            lines += study_lines(table, study, [row for _, row in rows], notes)
    columns = pd.MultiIndex.from_tuples([("", ""), *((column.group, column.name) for column in table.columns)])
    frame = pd.DataFrame(lines or [[NOT_RUN, *[""] * width]], columns=columns)
    marked = any(DAGGER in cell for line in lines for cell in line)
    return Sheet(table.name, table.caption, frame, [*notes.texts, *[DAGGER_NOTE] * marked], sides=f"l{'r' * width}")


def run_entries(table: Table, studies: Sequence[StudyResults], network: str) -> list[tuple[StudyResults, TableRow]]:
    """The rows of a network in which anything was run and recorded."""
    return [
        (study, row)
        for study, row in table.entries(studies, network)
        if any(column.text(study, row) not in (NOT_RUN, "–") for column in table.columns)
    ]


def not_run_sheet(shown: Iterable[tuple[Table, Sequence[StudyResults]]]) -> Sheet:
    """What no study of a network has, table by table.

    Args:
        shown: The tables, each with the studies it is made of.
    """
    lines = []
    for table, studies in shown:
        absent = [network for network in table.networks if not run_entries(table, studies, network)]
        lines += [[table.title, ", ".join(absent)]] if absent else []
    frame = pd.DataFrame(lines or [["everything was run", ""]], columns=["what", "networks"])
    return Sheet("not_run", "Not run: networks of the paper that a table of this report lacks.", frame, sides="ll")


def study_lines(table: Table, study: StudyResults, rows: Sequence[TableRow], notes: Notes) -> list[list[str]]:
    """The lines of a study: its label before the numbers, or above them where there are several rows."""
    label = ", ".join(fact for fact in (study.kind, counted(len(study.seeds), "seed")) if fact)
    names = [", ".join(part for part in (row.label, fewer_seeds(table, study, row)) if part) for row in rows]
    numbers = [[f"{column.text(study, row)}{dagger(column, study, row)}" for column in table.columns] for row in rows]
    said = [reduced_sentence(study, table.measured), examples_note(table.columns, study, rows)]
    mark = " ".join(notes.mark(text) for text in said if text)
    if len(rows) == 1:
        return [[f"  {', '.join(part for part in (label, names[0]) if part)}{mark}", *numbers[0]]]
    above = [f"  {label}{mark}:", *[""] * len(table.columns)]
    return [above, *([f"  {name}", *cells] for name, cells in zip(names, numbers, strict=True))]


def fewer_seeds(table: Table, study: StudyResults, row: TableRow) -> str:
    """How many of the study's seeds a row rests on; empty where that is all of them, or none."""
    counts = {len(column.ours(study, row).seeds) for column in table.columns} - {0}
    if counts <= {len(study.seeds)}:
        return ""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} of them"


def reduced_sentence(study: StudyResults, measured: str) -> str:
    """What of a study is reduced, as far as it concerns a table, in one sentence."""
    sentences = concerning(study.reduced, measured)
    return f"{'. '.join(sentences)}." if sentences else ""

"""The whole report: every table, number, verdict and figure from the studies, written to one folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from flatmin.report.break_even import break_even_latex, break_even_table
from flatmin.report.cells import tidy
from flatmin.report.claim import Judgement
from flatmin.report.claims import frame, judge
from flatmin.report.claims_tables import judgements_latex, overview_latex, readings_latex
from flatmin.report.effort import EFFORT
from flatmin.report.figures import report_figures
from flatmin.report.layout import latex
from flatmin.report.numbers import numbers_frame, numbers_tex
from flatmin.report.prose import prose_files
from flatmin.report.protocol import networks_tex
from flatmin.report.studies import Study, main_studies
from flatmin.report.tables import MAIN_TABLES, REMEDY_TABLES
from flatmin.results.atomic import write_files
from flatmin.results.formats import to_csv


def build(studies: Sequence[Study], out: Path) -> tuple[list[Judgement], list[Path]]:
    """Write the report.

    Args:
        studies: The studies.
        out: Folder to write to; made if absent.

    Returns:
        The judgements and the files written.

    Raises:
        ResultsError: If the folder cannot be written.
    """
    judgements = judge(studies)
    written = []
    for files in contents(studies, judgements):
        write_files(out, files)
        written += [out / name for name in files]
    return judgements, written + report_figures(studies, out)


def contents(studies: Sequence[Study], judgements: Sequence[Judgement]) -> Iterator[dict[str, bytes]]:
    """Yield the files that belong together: a table as LaTeX with its cells as CSV, the claims, the numbers."""
    main = main_studies(studies)
    for tables, shown in ((MAIN_TABLES, main), ((*REMEDY_TABLES, EFFORT), studies)):
        for table in tables:
            yield {f"{table.name}.csv": to_csv(tidy(table, shown)), f"{table.name}.tex": latex(table, shown).encode()}
    pays = break_even_table(main)
    yield {"break_even.csv": to_csv(pays), "break_even.tex": break_even_latex(pays).encode()}
    yield {
        "claims.csv": to_csv(frame(judgements)),
        "claims.tex": overview_latex(judgements).encode(),
        "judgements.tex": judgements_latex(judgements, studies).encode(),
        "landscape.tex": readings_latex(judgements, main).encode(),
    }
    yield prose_files(studies, main, judgements) | {"networks.tex": networks_tex().encode()}
    yield {
        "numbers.csv": to_csv(numbers_frame(studies, judgements)),
        "numbers.tex": numbers_tex(studies, judgements).encode(),
    }

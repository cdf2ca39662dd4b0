"""The whole report: every table, number, verdict and figure from the studies, written to one folder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flatmin.core.atomic import write_files
from flatmin.report.answer import answer, subspaces
from flatmin.report.break_even import break_even_sheet, break_even_table
from flatmin.report.cells import tidy
from flatmin.report.claim import Judgement
from flatmin.report.claims import frame, judge
from flatmin.report.claims_tables import judgements_sheet, overview_sheet, readings_sheet
from flatmin.report.effort import EFFORT
from flatmin.report.figures import figures_markdown, report_figures
from flatmin.report.finding import evidence
from flatmin.report.finding_figure import MARKDOWN, finding_files
from flatmin.report.finding_tables import finding_sheet
from flatmin.report.held_out import held_out_sheet
from flatmin.report.layout import not_run_sheet, sheet
from flatmin.report.measured import measured_sheet
from flatmin.report.numbers import macros, numbers_frame, numbers_tex
from flatmin.report.other_claims import other_claims_sheet
from flatmin.report.other_kinds import Other, sections
from flatmin.report.prose import Passage, limits, misses, scope, scope_in_short, studies_sheet
from flatmin.report.protocol import networks_sheet
from flatmin.report.quoted import quotations, those_quoted
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults, main_studies
from flatmin.report.subjects import subjects
from flatmin.report.tables import MAIN_TABLES, REMEDY_TABLES
from flatmin.report.warm_starts import collapse
from flatmin.results import markdown
from flatmin.results.formats import to_csv
from flatmin.results.latex import escaped


def build(
    studies: Sequence[StudyResults], out: Path, others: Sequence[Other] = ()
) -> tuple[list[Judgement], list[Path]]:
    """Write the report.

    Args:
        studies: The studies.
        out: Folder to write to; made if absent. Where a LaTeX document beside it reads its ``numbers.tex``, that file
            has the numbers which the document quotes, and else all there are.
        others: Studies that the paper has no place for, each with a section of its own; a report of these alone has
            nothing else.

    Returns:
        The judgements and the files written.

    Raises:
        ResultsError: If the folder cannot be written, or the document quotes a number that there is not.
    """
    written: list[Path] = []
    apart = {}
    if gathered := other_claims_sheet(others):
        apart["The claims of the book and of other papers"] = [gathered.markdown]
    for heading, texts, files_of_it in sections(others, out):
        apart[heading] = texts
        written += files_of_it
    if not studies:
        write_files(out, {"report.md": whole_report("Studies", apart).encode()})
        return [], [*written, out / "report.md"]
    drawn = report_figures(studies, out)
    apart = {"Figures": figures_markdown(drawn)} | apart if drawn else apart
    judgements = judge(studies)
    for files in report_contents(studies, judgements, apart, quotations(out)):
        write_files(out, files)
        written += [out / name for name in files]
    return judgements, written + drawn


def report_contents(
    studies: Sequence[StudyResults],
    judgements: Sequence[Judgement],
    apart: dict[str, list[str]],
    quoted: Mapping[str, Path],
) -> Iterator[dict[str, bytes]]:
    """Yield the files that belong together: a table with its cells, the claims, the prose, the numbers, the whole."""
    found = evidence(subjects(studies))
    numbers = those_quoted(macros(studies, judgements, found), quoted)
    main = main_studies(studies)
    shown = [
        *((table, main) for table in MAIN_TABLES),
        *((table, studies) for table in (*REMEDY_TABLES, EFFORT)),
    ]
    sheets = [sheet(table, rows) for table, rows in shown]
    for (table, rows), ready in zip(shown, sheets, strict=True):
        yield {f"{table.name}.csv": to_csv(tidy(table, rows))} | printed(ready)
    pays = break_even_table(main)
    pays_sheet = break_even_sheet(pays)
    yield {"break_even.csv": to_csv(pays)} | printed(pays_sheet)
    verdicts = overview_sheet(judgements)
    yield {"claims.csv": to_csv(frame(judgements))} | printed(verdicts)
    by_study = [judgements_sheet(judgements, studies), readings_sheet(judgements, main)]
    named = studies_sheet(studies)
    absent = not_run_sheet(shown)
    yield printed(*by_study, networks_sheet(), named, absent)
    of_the_finding = [finding_sheet(found), held_out_sheet(one.subject for one in found)]
    if drawn := finding_files(found):
        yield drawn
    yield printed(*of_the_finding)
    answered, covered, drawn_from, fallen = answer(found), scope(studies), subspaces(main), collapse(studies)
    missed, limited = misses(judgements, studies), limits(studies)
    yield {
        "verdict.tex": f"{escaped(answered.lead)}\n".encode(),
        "answer.tex": Passage("", answered.lines).latex.encode(),
        "scope.tex": covered.latex.encode(),
        "scope_in_short.tex": f"{escaped(scope_in_short(studies))}\n".encode(),
        "subspaces.tex": f"{escaped(drawn_from)}\n".encode(),
        "warm_starts.tex": f"{escaped(fallen)}\n".encode(),
        "misses.tex": "".join(passage.latex for passage in missed).encode(),
        "limits.tex": limited.latex.encode(),
    }
    yield {"numbers.csv": to_csv(numbers_frame(numbers)), "numbers.tex": numbers_tex(numbers).encode()}
    beyond = measured_sheet(studies)
    if beyond:
        yield printed(beyond)
    parts = {
        "Scope": [covered.markdown],
        "Is the sharpness the landscape's or the optimiser's?": [
            answered.markdown,
            f"{markdown.escaped(fallen)}\n",
            f"{markdown.escaped(drawn_from)}\n",
            of_the_finding[0].markdown,
            *([MARKDOWN] if drawn else []),
            of_the_finding[1].markdown,
        ],
        "The claims": [verdicts.markdown],
        "What does not reproduce": [passage.markdown for passage in missed],
        "Tables": [ready.markdown for ready in (*sheets, *([beyond] if beyond else []), pays_sheet, absent)],
        "The claims, study by study": [one.markdown for one in by_study],
        "Studies": [named.markdown, limited.markdown],
        **apart,
    }
    yield {"report.md": whole_report("Keskar et al. (2017) reproduced", parts).encode()}


def printed(*sheets: Sheet) -> dict[str, bytes]:
    r"""Tables as files for ``\input``."""
    return {f"{ready.name}.tex": ready.latex.encode() for ready in sheets}


def whole_report(title: str, parts: dict[str, list[str]]) -> str:
    """The report as one Markdown document."""
    head = f"# {title}\n\nWritten by `flatmin report` from the studies that it names.\n"
    return "\n".join([head, *(f"## {heading}\n\n" + "\n".join(texts) for heading, texts in parts.items())])

"""The command ``flatmin report``: the paper's tables, figures and claims from the frozen studies."""

from pathlib import Path
from typing import Annotated

import typer

FROZEN = Path("paper/data")
OWN_RESULTS = Path("results")

STUDY_FOLDERS = typer.Argument(
    help="Studies, or folders of studies; paper/data unless given, else results.",
    show_default=False,
    metavar="FOLDER",
)
OUT = typer.Option(
    "--out",
    help="Where to write; paper/generated where paper/data is read unasked, else results/report.",
    show_default=False,
)


def report(
    folders: Annotated[list[Path] | None, STUDY_FOLDERS] = None, out: Annotated[Path | None, OUT] = None
) -> None:
    """Write every table and figure of the paper with our numbers beside its own, and judge its claims.

    All of it to read in report.md; LaTeX tables with a CSV of their cells, claims.csv, numbers.tex (the numbers as
    macros: those that a LaTeX document beside the folder quotes, or all of them) and the figures. The table printed
    says of each claim for which networks it holds. Reads only the studies' tables, so it needs neither data nor
    networks.
    """
    from rich.console import Console

    from flatmin.cli.unfinished import unfinished
    from flatmin.report.build import build
    from flatmin.report.claims_tables import terminal_table
    from flatmin.report.studies import load_studies
    from flatmin.results.words import counted

    frozen = not folders and FROZEN.is_dir()
    places = folders or [FROZEN if frozen else OWN_RESULTS]
    notes = unfinished(places)
    studies, others = load_studies(places)
    out = out or (FROZEN.with_name("generated") if frozen else OWN_RESULTS / "report")
    judgements, written = build(studies, out, others)
    console = Console()
    if studies:
        console.print(terminal_table(judgements), highlight=False)
    for name, label in [(study.name, study.label) for study in studies] + [(one.name, one.label) for one in others]:
        console.print(f"{name}: {label}", highlight=False, markup=False)
    text = f"{counted(len(studies) + len(others), 'study')}, {counted(len(written), 'file')} in {out}"
    for line in (text, *notes):
        console.print(line, highlight=False, markup=False, soft_wrap=True)

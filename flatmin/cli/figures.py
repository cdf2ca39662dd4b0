"""The command ``flatmin figures``: figures and tables from an experiment's results."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

FOLDER = typer.Argument(help="results/EXPERIMENT or paper/data/EXPERIMENT: the tables, or a folder with `tables/`.")
OUT = typer.Option("--out", help="Where to write; FOLDER/figures unless given.", show_default=False)


def figures(folder: Annotated[Path, FOLDER], out: Annotated[Path | None, OUT] = None) -> None:
    """Draw every figure of an experiment as PDF and PNG, with the plotted numbers as CSV, and print its summary.

    The last lines say which minimum is sharper. Reads only the tables, so it needs neither data nor networks.
    """
    from flatmin.core.errors import ResultsError
    from flatmin.figures.captions import counted
    from flatmin.figures.render import render
    from flatmin.figures.summary import summary_table, terminal_tables
    from flatmin.figures.verdict import verdict
    from flatmin.results import Tables

    tables = Tables.read(folder / "tables" if (folder / "tables").is_dir() else folder)
    out = out or folder / "figures"
    written = render(tables, out)
    console = Console()
    try:
        console.print(*terminal_tables(summary_table(tables)), sep="")
    except ResultsError as error:
        console.print(str(error))
    for sentence in verdict(tables):
        console.print(sentence, highlight=False, markup=False)
    drawn = sum(path.suffix == ".pdf" for path in written)
    console.print(
        f"{counted(drawn, 'figure')}, {counted(len(written), 'file')} in {out}", highlight=False, markup=False
    )

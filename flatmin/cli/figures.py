"""The command ``flatmin figures``: figures and tables from an experiment's results."""

from pathlib import Path
from typing import Annotated

import typer

from flatmin.cli.terminal import show, terminal

FIGURES_FOLDER = typer.Argument(
    help="results/EXPERIMENT or paper/data/EXPERIMENT: the tables, or a folder with `tables/`."
)
FIGURES_OUT = typer.Option("--out", help="Where to write; FOLDER/figures unless given.", show_default=False)


def figures(folder: Annotated[Path, FIGURES_FOLDER], out: Annotated[Path | None, FIGURES_OUT] = None) -> None:
    """Draw every figure of an experiment as PDF and PNG, with the plotted numbers as CSV, and print its summary.

    The summary ends with what was found, such as which minimum is sharper. Reads only the tables, so it needs neither
    data nor networks; of a run that is not finished it draws what there is.
    """
    from flatmin.cli.unfinished import tables_so_far
    from flatmin.core.kind import kind_of
    from flatmin.results import Tables
    from flatmin.results.words import counted

    so_far = tables_so_far(folder)
    if so_far is None:
        tables = Tables.read(folder / "tables" if (folder / "tables").is_dir() else folder)
    else:
        tables = so_far.tables
    place, kind = out or folder / "figures", kind_of(tables)
    if out is None and (folder / "tables").is_dir():
        from flatmin.experiments.drawing import redraw

        written = redraw(kind.draw, tables, folder)
    else:
        written = kind.draw(tables, place)
    show(kind.printed(tables))
    drawn = sum(path.suffix == ".pdf" for path in written)
    terminal().print(f"{counted(drawn, 'figure')}, {counted(len(written), 'file')} in {place}")
    if so_far is not None:
        terminal().print(so_far.words)

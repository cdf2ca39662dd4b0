"""``flatmin experiments``: those that are shipped, and a copy of one to edit."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="experiments",
    help="List the shipped experiments; `copy` takes one for editing.",
    invoke_without_command=True,
)

NAME = typer.Argument(metavar="NAME", help="A name that `flatmin experiments` shows.", show_default=False)
TO = typer.Argument(metavar="[TO]", help="File to write, or a folder; never one that is there.", show_default=False)


@app.callback()
def list_shipped(context: typer.Context) -> None:
    """List the shipped experiments with what each is about; `flatmin run NAME` runs one, anywhere."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table
    from rich.text import Text

    from flatmin.cli.terminal import show
    from flatmin.experiments import load_experiment
    from flatmin.experiments.shipped import shipped

    table = Table("experiment", "about")
    for name, file in shipped().items():
        table.add_row(name, Text(load_experiment(file).about))
    show([table, "Run one with `flatmin run NAME`; `flatmin experiments copy NAME` takes it for editing."])


@app.command()
def copy(name: Annotated[str, NAME], to: Annotated[Path | None, TO] = None) -> None:
    """Copy a shipped experiment here, or to TO, for editing. A file that is there stays as it is."""
    from flatmin.experiments.shipped import copy_shipped

    written = copy_shipped(name, to or Path())
    typer.echo(
        f"{written}: a copy of {name}. Its `name:` says where its results go; run it with `flatmin run {written}`."
    )

"""``flatmin data``: which data sets there are, whether they are sound, and how to get them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="data", help="List, check and fetch the data sets.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="digits, mnist, cifar10 or cifar100.", show_default=False)]
_Root = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="ROOT",
        show_default=False,
        help="Folder searched first; then come $FLATMIN_DATA and the user's cache folder.",
    ),
]
_NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Accept files whose md5 is not the published one, and say so.")
]


@app.command("list")
def list_sets(root: _Root = None) -> None:
    """Show every data set: its size, where it lies and whether its files are the published ones.

    Nothing is downloaded. "differs" in the last column means that a file has another md5 than the published one;
    such a set loads only with `verify: false`.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from flatmin.data.catalog import CATALOG
    from flatmin.data.files import search_roots

    roots = search_roots(root)
    table = Table("name", "examples", "classes", "place", "verified")
    for entry in CATALOG.values():
        examples = f"{entry.num_train:,} + {entry.num_test:,}"
        row = (entry.name, examples, str(entry.num_classes), *_state(entry.name, roots))
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console = Console()
    console.print(table)
    console.print(f"Searched: {', '.join(map(str, roots))}", markup=False, highlight=False, soft_wrap=True)


def _state(name: str, roots: tuple[Path, ...]) -> tuple[str, str]:
    """Place of a set and what is known of its files."""
    from flatmin.core.errors import DataError
    from flatmin.data.catalog import CATALOG

    try:
        copy = CATALOG[name].find(roots)
    except DataError as error:
        return str(error), "damaged"
    if copy is None:
        return "not found", "-"
    return copy.place, "yes" if copy.verified else "differs"


@app.command()
def check(name: _Name, root: _Root = None, no_verify: _NoVerify = False) -> None:
    """Read a data set in full and compare every file with its published md5.

    Ends with status 2 and one line on what is wrong if the set is absent, damaged or not the published one.
    """
    from flatmin.data import load

    dataset = load(name, root=root, verify=not no_verify, download=False)
    origin, shape = dataset.provenance, " x ".join(map(str, dataset.input_shape))
    typer.echo(
        f"{name}: {len(dataset.train):,} training and {len(dataset.test):,} test examples of {shape}, "
        f"{dataset.num_classes} classes, in {origin['place']}"
    )
    for file, md5 in origin["files"].items():
        typer.echo(f"  {md5}  {file}{'  differs from the published md5' * (file in origin['changed'])}")
    typer.echo("verified" if origin["verified"] else "not verified: used as it is, and recorded as such")


@app.command()
def fetch(name: _Name, root: _Root = None) -> None:
    """Download a data set from its publisher and check it.

    It goes to --data, else to $FLATMIN_DATA, else to the user's cache folder. Files that lie there already are kept.
    A file appears under its name only when it is whole and its md5 is the published one.
    """
    from flatmin.data.catalog import fetch as fetch_set
    from flatmin.data.files import require_published

    copy = fetch_set(name, root=root)
    require_published(name, copy)
    typer.echo(f"{name}: ready in {copy.place}")

"""``flatmin data``: which data sets there are, whether they are sound, and how to get them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flatmin.data.places import named_folder

app = typer.Typer(name="data", help="List, check, fetch and prepare the data sets.", no_args_is_help=True)

_Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name that `flatmin data list` shows.", show_default=False),
]
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
_BySplit = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="frames|speakers",
        help="How timit is divided: by single frames as in the paper, whose neighbours leak from training to test, "
        "or by speakers.",
    ),
]


@app.command("list")
def list_sets(root: _Root = None) -> None:
    """Show every data set: its size, where it lies and whether its files are the published ones.

    Nothing is downloaded or prepared. "differs" in the last column means that a file has another md5 than the
    published one, or than the one it was prepared with; such a set loads only with `verify: false`.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from flatmin.data.catalog import CATALOG
    from flatmin.data.files import search_roots

    roots = search_roots(named_folder(root))
    table = Table("name", "examples", "classes", "place", "verified")
    rows: list[tuple[str, ...]] = []
    for entry in CATALOG.values():
        examples = f"{entry.num_train:,} + {entry.num_test:,}"
        rows.append((entry.name, examples, str(entry.num_classes), *_state(entry.name, roots)))
    for row in [*rows, *_timit_rows(roots)]:
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


def _timit_rows(roots: tuple[Path, ...]) -> list[tuple[str, ...]]:
    """One row for each split that is prepared, else one on how to come by it."""
    from flatmin.data import timit

    found = timit.prepared_splits(roots)
    if found is not None:
        return [_timit_row(roots, split) for split in found[1]]
    if sample := timit.unpacked_sample(roots):
        return [("timit", "", "", f"{sample}: the sample, prepared at every use", "-")]
    return [("timit", *_sizes(timit.PAPER), "not found", "-")]


def _timit_row(roots: tuple[Path, ...], split: str) -> tuple[str, ...]:
    from flatmin.core.errors import DataError
    from flatmin.data import timit

    try:
        prepared = timit.find(roots, split)
        assert prepared is not None
        state = prepared.copy.place, "yes" if prepared.copy.verified else "differs"
        return f"timit, by {split}", *_sizes(prepared.account), *state
    except DataError as error:
        return f"timit, by {split}", "", "", str(error), "damaged"


def _sizes(account: dict[str, Any]) -> tuple[str, str]:
    return f"{account['training_frames']:,} + {account['test_frames']:,}", str(account["states"])


@app.command()
def check(name: _Name, root: _Root = None, no_verify: _NoVerify = False, split: _BySplit = "frames") -> None:
    """Read a data set in full and compare every file with its published md5.

    Ends with status 2 and one line on what is wrong if the set is absent, damaged or not the published one.
    """
    from flatmin.data import load

    dataset = load(name, root=named_folder(root), verify=not no_verify, download=False, split=split)
    origin, shape = dataset.provenance, " x ".join(map(str, dataset.input_shape))
    typer.echo(
        f"{dataset.name}: {len(dataset.train):,} training and {len(dataset.test):,} test examples of {shape}, "
        f"{dataset.num_classes} classes, in {origin['place']}"
    )
    for file, md5 in origin["files"].items():
        typer.echo(f"  {md5}  {file}{'  differs from the expected md5' * (file in origin['changed'])}")
    typer.echo("verified" if origin["verified"] else "not verified: used as it is, and recorded as such")


@app.command()
def fetch(name: _Name, root: _Root = None) -> None:
    """Download a data set from its publisher and check it.

    It goes to --data, else to $FLATMIN_DATA, else to the user's cache folder. Files that lie there already are kept.
    A file appears under its name only when it is whole and its md5 is the published one.
    """
    from flatmin.data.catalog import fetch as fetch_set
    from flatmin.data.files import require_published

    copy = fetch_set(name, root=named_folder(root, made=True))
    require_published(name, copy)
    typer.echo(f"{name}: ready in {copy.place}")


@app.command()
def timit(
    corpus: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", show_default=False, help="Folder with TRAIN/DR1/... or, for the sample, dr1-fvmh0/..."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Kaldi features, .scp or .ark."),
    ] = None,
    alignments: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Kaldi pdf-ids from `ali-to-pdf`, gzipped or not."),
    ] = None,
    split: _BySplit = "frames",
    states: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tied states asked for, 1,973 as in the paper; with --corpus only."),
    ] = None,
    root: _Root = None,
) -> None:
    """Prepare TIMIT for F2 from your copy of the corpus, or from features and alignments that Kaldi made.

    Of the full corpus Kaldi's training set is used: TRAIN without the SA sentences. The frames get 40 log-mel
    energies, normalised per speaker and spliced nine to an input of 360, and one of 1,973 tied triphone states. Of
    Kaldi's own features 40 are spliced alike; any other number is taken as it is. 'ali.*.gz' in quotes
    stands for all files that match.

    The prepared set goes to timit/ (timit_sample/ for the sample) in --data, else in $FLATMIN_DATA, else in the
    user's cache folder; `data: timit` in an experiment finds it there.
    """
    from flatmin.data.files import search_roots
    from flatmin.data.timit import write
    from flatmin.speech.preparation import STATES, from_corpus, from_kaldi

    root = named_folder(root, made=True)
    if corpus is not None and features is None and alignments is None:
        frames = from_corpus(corpus, split=split, states=STATES if states is None else states)
    elif corpus is None and features is not None and alignments is not None and states is None:
        frames = from_kaldi(features, alignments, split=split)
    else:
        raise typer.BadParameter("give either --corpus (and --states), or both --features and --alignments.")
    path = write(frames, search_roots(root)[0])
    for line in _summary(frames.account):
        typer.echo(line)
    typer.echo(f"  written to {path}")


def _summary(account: dict[str, Any]) -> list[str]:
    """What was prepared, in lines of text."""
    asked, states = account.get("states_asked", account["states"]), account["states"]
    fewer = f", fewer than the {asked:,} asked for: no further split leaves enough frames" if states < asked else ""
    left_out = f", {count:,} more without an alignment" if (count := account.get("without_alignment")) else ""
    leak = ": neighbours of test frames are training frames" if account["split"] == "frames" else ""
    transitions = ["  no frame shows state 0: if these are transition-ids, write pdf-ids with `ali-to-pdf`"]
    return [
        f"{account['name']}: {account['utterances']:,} utterances of {account['speakers']} speakers{left_out}",
        f"  {account['frames']:,} frames of {account['inputs']} inputs: {account['features']}; "
        f"{account['spliced']} frames spliced",
        f"  {states:,} states{fewer}",
        f"  {account['training_frames']:,} training and {account['test_frames']:,} test frames, "
        f"by {account['split']}{leak}",
        *(transitions if account.get("lowest_state") else ()),
    ]

"""What `flatmin measure` and `flatmin slice` have in common: a checkpoint, its network, data and a loss."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from flatmin.cli.stopping import stoppable
from flatmin.core.errors import ConfigError
from flatmin.data.places import named_folder

if TYPE_CHECKING:
    from flatmin.experiments.brought import Brought
    from flatmin.objective.objective import Objective

Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT",
        show_default=False,
        help="The weights: .ckpt of Lightning, .pt, .pth or .safetensors. No code in it is run.",
    ),
]
NetworkOption = Annotated[
    str,
    typer.Option(
        "--network",
        metavar="WHAT",
        show_default=False,
        help="What builds the network: module:function, file.py:function (or a class), or F1, F2, C1, C2, C3, C4.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="KEY=VALUE",
        show_default=False,
        help="An argument of the network, such as width=64 or variant=paper; may be repeated.",
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="WHAT",
        show_default=False,
        help="A name that `flatmin data list` shows, or module:function or file.py:function that returns batches of "
        "(inputs, targets), such as a DataLoader, or a data set of examples.",
    ),
]
On = Annotated[str, typer.Option("--on", metavar="train|test", help="Which examples of a data set that has both.")]
Loss = Annotated[
    str | None,
    typer.Option(
        "--loss",
        metavar="WHAT",
        show_default=False,
        help="cross_entropy, mse, or module:function of outputs and targets; by the kind of targets unless given.",
    ),
]
ExamplesOption = Annotated[
    str | None,
    typer.Option(
        "--examples",
        metavar="N|all",
        show_default=False,
        help="The first so many examples; of a named data set 5000 unless given, else all.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", metavar="N", show_default=False, help="Examples a batch; 1000 unless given."),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda:0 ...")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of whatever is drawn.")]
Root = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="ROOT",
        show_default=False,
        help="Folder searched first for a named data set; then come $FLATMIN_DATA and the user's cache folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE.csv", show_default=False, help="Write the table as CSV.")
]
FEW = 1000
"""Examples below which a number is said to be one of few, where it is not known how many there are."""
USUAL_EXAMPLES = 5000


class ExampledCommand(TyperCommand):
    """A command whose help ends with examples of its use."""

    examples: tuple[str, ...] = ()

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write them, a line each."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  {line}\n")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at, and what is to be said of it."""

    brought: "Brought"
    checkpoint: Path
    batch_norm: str
    objective: "Objective"

    def lines(self) -> Iterator[str]:
        """What was measured on what, in words."""
        from flatmin.results.words import BATCH_NORM_NAMES, counted, significant

        data, found = self.brought.data, self.objective.evaluate()
        accuracy = "" if found.accuracy != found.accuracy else f", accuracy {100 * found.accuracy:.2f} %"
        of = f"of {data.available:,} " if data.examples < data.available else ""
        yield f"{self.brought.label}, {self.objective.size:,} weights of {self.checkpoint}, on {self.brought.device}"
        yield f"{data.name}: {data.examples:,} {of}examples in {counted(len(data.batches), 'batch')}"
        reading = BATCH_NORM_NAMES[self.batch_norm] if self.objective.has_batch_norm else "the network has none"
        yield f"BatchNorm: {reading}; loss {significant(found.loss, 4)}{accuracy}"

    def _of_few_examples(self, measures: Iterable[str]) -> Iterator[str]:
        """What the examples that were not taken owe to each measure, by its declaration."""
        from flatmin.measures.readings import of_few_examples

        data, doubts = self.brought.data, dict[str, list[str]]()
        for name in measures:
            if few := of_few_examples(name):
                doubts.setdefault(few, []).append(name)
        for few, names in doubts.items():
            if data.examples < data.available:
                taken = f"{data.examples:,} of {data.available:,} examples"
                yield f"taken on {taken}, {', '.join(names)} is {few}; --examples all takes all"
            elif data.examples < FEW:
                yield f"taken on {data.examples:,} examples only, {', '.join(names)} is {few}"

    def cautions(self, *, measures: Iterable[str] = (), drawn: bool = False) -> Iterator[str]:
        """What should be known of any number of it.

        Args:
            measures: Names of those that were taken.
            drawn: Whether the numbers are a picture of the loss rather than measures of its sharpness.
        """
        yield from self.objective.cautions
        yield from self._of_few_examples(measures)
        if self.objective.has_batch_norm and self.batch_norm == "running":
            does = "its loss can rise far more steeply" if drawn else "it can be sharper by orders of magnitude"
            yield (
                f"a network with BatchNorm is several functions of its weights: by running averages {does} than by "
                "--batch-norm batch, the reading of Keskar et al. (2017)"
            )


def brought(
    *,
    network: str,
    arguments: list[str] | None,
    data: str,
    part: str,
    loss: str | None,
    examples: str | None,
    batch_size: int | None,
    device: str,
    seed: int,
    root: Path | None,
) -> "Brought":
    """All that the options name but the weights.

    Modules are looked for among those installed, then in the current folder.
    """
    count = _examples(examples, named=":" not in data)
    among("--on", part, ("train", "test"))
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"--batch-size must be at least 1, got {batch_size}.")
    check_seed(seed)
    named_folder(root, "--data-root")
    from flatmin.core.allocator import keep_freed_memory

    keep_freed_memory()

    from flatmin.experiments.brought import Brought
    from flatmin.experiments.brought_data import brought_data

    here = Path.cwd()
    sys.path.append(str(here))
    found = brought_data(data, part=part, examples=count, batch_size=batch_size, root=root, folder=here)
    return Brought.of(network, found, arguments=arguments or [], loss=loss, device=device, folder=here)


def _examples(text: str | None, *, named: bool) -> int | None:
    if text is None:
        return USUAL_EXAMPLES if named else None
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ConfigError(f"--examples must be a number above 0 or all, got {text!r}.")
    return int(text)


def among(option: str, value: str, known: tuple[str, ...]) -> str:
    """The value of an option, if it is one of those known."""
    if value not in known:
        raise ConfigError(f"{option} must be one of {', '.join(known)}, got {value!r}.")
    return value


def check_seed(seed: int) -> int:
    """The seed, if a generator takes it."""
    if not 0 <= seed < 2**32:
        raise ConfigError(f"--seed must be from 0 to 2**32 - 1, got {seed}.")
    return seed


def check_file(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before anything is computed."""
    if path is None:
        return
    if path.suffix not in suffixes:
        raise ConfigError(f"{option} must end in {' or '.join(suffixes)}, got {path}.")
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise ConfigError(f"{option} {path} cannot be written: {why}.")


def show_json(value: Any) -> None:
    """Print JSON, in which what is not finite stands as in the files of a record: ``{"$float": "nan"}``."""
    from flatmin.results.formats import to_json

    typer.echo(to_json(value).decode().rstrip())


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal what is being done; and what goes wrong in a network of the user's own, in one line."""
    from rich.console import Console

    from flatmin.core.errors import FlatminError
    from flatmin.core.sources import said

    console = Console(stderr=True, highlight=False, markup=False)
    try:
        with stoppable("Interrupted; nothing was written."), console.status(what):
            yield
    except (FlatminError, typer.Exit):
        raise
    except Exception as error:
        raise ConfigError(f"{what}: {said(error)}") from error

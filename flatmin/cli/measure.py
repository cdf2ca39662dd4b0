"""The command ``flatmin measure``: a number for a network in a file."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from flatmin.cli import brought as options
from flatmin.cli.brought import ExampledCommand, Subject, among, check_file, working
from flatmin.cli.measuring import UNITS, USUAL, BatchNorm, chosen, not_converged, write_table
from flatmin.core.errors import ConfigError
from flatmin.core.fields import BatchNormReading

if TYPE_CHECKING:
    from flatmin.measures.readings import Reading

COLUMNS = ("measure", "value", "standard_error", "converged", "evaluations", "seconds")

Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        show_default=False,
        help="epsilon_sharpness (taken unless one is named), average_case_sharpness, or a measure that `flatmin run "
        "--help` lists; may be repeated.",
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option(
        "--epsilon", metavar="E", show_default=False, help="Of epsilon_sharpness: half-width of the box; 1e-3."
    ),
]


class MeasureCommand(ExampledCommand):
    """The command, whose help ends with examples."""

    examples = (
        "flatmin measure last.ckpt --network F1 --data mnist",
        "flatmin measure model.pt --network models.py:resnet18 --data cifar10 --examples all --batch-norm batch",
        "flatmin measure model.safetensors --network package.models:Net --with width=64 --data data.py:batches",
        "flatmin measure last.ckpt --network F1 --data mnist --measure average_case_sharpness --json",
    )


def measure(
    checkpoint: options.Checkpoint,
    network: options.NetworkOption,
    data: options.DataOption,
    arguments: options.With = None,
    measures: Measures = None,
    epsilon: Epsilon = None,
    batch_norm: BatchNorm = "running",
    loss: options.Loss = None,
    on: options.On = "train",
    examples: options.ExamplesOption = None,
    batch_size: options.BatchSize = None,
    device: options.Device = "auto",
    seed: options.SeedOption = 0,
    root: options.Root = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
) -> None:
    """Measure how sharp a network is that lies in a file: yours, or one of the paper's.

    Prints a table with each number, whether its search ended by itself and what it cost, then what it rests on and what
    should be known of it.
    """
    check_file("--output", output, (".csv",))
    among("--batch-norm", batch_norm, get_args(BatchNormReading))
    names = measures or [USUAL]
    functions = chosen(names, seed, **_settings(names, epsilon))
    found = options.brought(
        network=network,
        arguments=arguments,
        data=data,
        part=on,
        loss=loss,
        examples=examples,
        batch_size=batch_size,
        device=device,
        seed=seed,
        root=root,
    )
    from flatmin.core.precision import resolves

    with working("reading the network"):
        subject = Subject(found, checkpoint, batch_norm, found.objective(checkpoint, batch_norm))
    rows = [row for name, function in functions.items() for row in _taken(name, function, subject)]
    small = epsilon is not None and not resolves(epsilon, subject.objective.dtype)
    lost = not_converged(row["measure"] for row in rows if row["converged"] is False)
    cautions = [*(_unresolved(epsilon) if small else lost), *subject.cautions(measures=functions)]
    if output is not None:
        write_table(output, rows, COLUMNS)
    if as_json:
        options.show_json({"measures": rows, "on": [*subject.lines()], "cautions": cautions})
        return
    _show(rows, [*subject.lines()], cautions, output)


def _settings(names: list[str], epsilon: float | None) -> dict[str, float]:
    """Those of the usual measure."""
    from flatmin.core.fields import WIDEST

    if epsilon is None:
        return {}
    if USUAL not in names:
        raise ConfigError(f"--epsilon must be left out: it is a setting of {USUAL}, which is not asked for.")
    if not 0 < epsilon <= WIDEST:
        raise ConfigError(f"--epsilon must be positive and at most {WIDEST:g}, got {epsilon:g}.")
    return {"epsilon": epsilon}


def _taken(name: str, function: Callable[[Any], Any], subject: Subject) -> Iterator[dict[str, Any]]:
    from flatmin.measures.readings import readings

    since = time.monotonic()
    with working(f"taking {name}"):
        found = readings(name, function(subject.objective))
    for reading in found:
        yield _row(reading, time.monotonic() - since)


def _row(reading: "Reading", seconds: float) -> dict[str, Any]:
    error = reading.standard_error
    return {
        "measure": reading.name,
        "value": reading.value,
        "standard_error": None if error is None or math.isnan(error) else error,
        "converged": None if reading.converged is None else bool(reading.converged),
        "evaluations": reading.evaluations,
        "seconds": round(seconds, 2),
    }


def _unresolved(epsilon: float | None) -> Iterator[str]:
    yield (
        f"a box of {epsilon:g} is too small for the arithmetic of the network: rounding decides; from Python take "
        "Objective(..., dtype=torch.float64)"
    )


def _show(rows: list[dict[str, Any]], lines: list[str], cautions: list[str], output: Path | None) -> None:
    from rich.table import Table

    from flatmin.cli.terminal import show
    from flatmin.results.words import significant

    table = Table("measure", "value", "error", *COLUMNS[3:])
    table.columns[0].overflow = "fold"
    table.columns[0].min_width = min(32, max(len(row["measure"]) for row in rows))
    for row in rows:
        error, evaluations = row["standard_error"], row["evaluations"]
        table.add_row(
            row["measure"],
            significant(row["value"], 4) + UNITS.get(row["measure"], ""),
            "-" if error is None else significant(error, 2),
            {None: "-", True: "yes", False: "no"}[row["converged"]],
            "-" if evaluations is None else f"{evaluations:,}",
            f"{row['seconds']:.1f}",
        )
    written = [f"Table: {output}"] if output else []
    show([table, *lines, *(f"caution: {caution}." for caution in cautions), *written])

"""The command ``flatmin slice``: the loss of a network in a file, on a line or in a plane."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from flatmin.cli import brought as options
from flatmin.cli.brought import ExampledCommand, Subject, among, check_file, working
from flatmin.core.errors import ConfigError
from flatmin.core.fields import BatchNormReading

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from flatmin.landscapes import Line, Plane

READINGS = (*get_args(BatchNormReading), "interpolated")
POINTS = {"line": 25, "plane": 15}
MOST_POINTS = 10_000
SHOWN = 13

Kind = Annotated[str, typer.Option("--kind", metavar="line|plane", help="One random direction, or two.")]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="CHECKPOINT",
        show_default=False,
        help="The line runs on to this network (at 1) in place of a random direction.",
    ),
]
Points = Annotated[
    int | None,
    typer.Option(
        "--points",
        metavar="N",
        show_default=False,
        help="Points along each axis; 25, of a plane 15. Where a network stands there is always one.",
    ),
]
Span = Annotated[
    float, typer.Option("--span", metavar="X", help="How far to each side, in lengths of the filters; or of the path.")
]
ReadingOption = Annotated[
    str | None,
    typer.Option(
        "--batch-norm",
        metavar="|".join(READINGS),
        show_default=False,
        help="Statistics that BatchNorm uses: running unless given, with --to batch.",
    ),
]
Save = Annotated[
    Path | None, typer.Option("--save", metavar="FILE.npz", show_default=False, help="Keep the slice, as NumPy has it.")
]
FigureFile = Annotated[
    Path | None,
    typer.Option("--figure", metavar="FILE", show_default=False, help="Draw it, as .png, .pdf or .svg."),
]


class SliceCommand(ExampledCommand):
    """The command, whose help ends with examples."""

    examples = (
        "flatmin slice last.ckpt --network F1 --data mnist --figure line.png",
        "flatmin slice last.ckpt --network F1 --data mnist --kind plane --span 0.5 --figure plane.png --save plane.npz",
        "flatmin slice small.pt --to large.pt --network models.py:resnet18 --data cifar10 --output path.csv",
    )


def slice_checkpoint(
    checkpoint: options.Checkpoint,
    network: options.NetworkOption,
    data: options.DataOption,
    arguments: options.With = None,
    kind: Kind = "line",
    to: To = None,
    points: Points = None,
    span: Span = 1.0,
    batch_norm: ReadingOption = None,
    loss: options.Loss = None,
    on: options.On = "train",
    examples: options.ExamplesOption = None,
    batch_size: options.BatchSize = None,
    device: options.Device = "auto",
    seed: options.SeedOption = 0,
    root: options.Root = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    save: Save = None,
    figure: FigureFile = None,
) -> None:
    """Evaluate the loss around a network that lies in a file, along random directions or on to another network.

    Random directions are filter-normalised (Li et al., 2018): every filter of theirs is as long as the network's own.
    Of a path to another network --span is how far it goes on beyond either end.
    """
    _check(kind, to, points, span, batch_norm)
    for option, path, suffixes in (
        ("--output", output, (".csv",)),
        ("--save", save, (".npz",)),
        ("--figure", figure, (".png", ".pdf", ".svg")),
    ):
        check_file(option, path, suffixes)
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
    reading = batch_norm or ("batch" if to else "running")
    read = "running" if reading == "interpolated" else reading
    with working("reading the network"):
        subject = Subject(found, checkpoint, reading, found.objective(checkpoint, read))
        other = found.objective(to, read) if to else None
    with working(f"evaluating the {kind}"):
        points = points or POINTS[kind]
        if other is None:
            sliced = _random(subject.objective, kind, points, span, seed)
        else:
            sliced = _path(subject.objective, other, points, span, interpolated=reading == "interpolated")
    lines = [*subject.lines(), *([f"alpha = 0: {checkpoint}; alpha = 1: {to}"] if to else [])]
    rows = _rows(sliced)
    networks = {"the network": 0.0} if to is None else _named(checkpoint, to)
    written = [*_written(sliced, rows, lines, found.loss_name, networks, output=output, save=save, figure=figure)]
    cautions = [*_lost(sliced), *subject.cautions(drawn=True)]
    if as_json:
        options.show_json({"slice": sliced.to_record(), "on": lines, "cautions": cautions})
        return
    _show(rows, [*lines, *(f"caution: {caution}." for caution in cautions), *written])


def _check(kind: str, to: Path | None, points: int | None, span: float, batch_norm: str | None) -> None:
    among("--kind", kind, tuple(POINTS))
    if batch_norm is not None:
        among("--batch-norm", batch_norm, READINGS)
    if to is not None and kind != "line":
        raise ConfigError("--to must go with --kind line: two networks span no plane.")
    if to is None and batch_norm == "interpolated":
        raise ConfigError("--batch-norm interpolated must go with --to: it is between the statistics of two networks.")
    if points is not None and not 2 <= points <= MOST_POINTS:
        raise ConfigError(f"--points must be from 2 to {MOST_POINTS}, got {points}.")
    if not 0 < span < float("inf"):
        raise ConfigError(f"--span must be positive and finite, got {span:g}.")


def _random(objective: Any, kind: str, points: int, span: float, seed: int) -> "Line | Plane":
    import numpy as np

    from flatmin.landscapes import filter_normalized, slice_1d, slice_2d

    axis = _through(np.linspace(-span, span, points), 0.0)
    first = filter_normalized(objective, seed)
    if kind == "line":
        return slice_1d(objective, first, axis)
    return slice_2d(objective, (first, filter_normalized(objective, seed + 1)), (axis, axis))


def _path(first: Any, second: Any, points: int, span: float, *, interpolated: bool) -> "Line":
    import numpy as np

    from flatmin.landscapes import path_between

    if first.batch_norm == "running" and first.has_batch_norm and not interpolated:
        raise ConfigError(
            "--batch-norm running has no meaning between two networks, whose averages differ; use batch, reestimate or "
            "interpolated."
        )
    axis = _through(np.linspace(-span, 1 + span, points), 0.0, 1.0)
    return path_between(first, second, axis, interpolate_batch_norm=interpolated and first.has_batch_norm)


def _through(axis: "NDArray[np.float64]", *networks: float) -> "NDArray[np.float64]":
    """The coordinates, with those where a network stands among them."""
    import numpy as np

    others = axis[(np.abs(axis[:, None] - networks) > 1e-9).all(1)]
    return np.sort(np.append(others, networks))


def _rows(sliced: "Line | Plane") -> "pd.DataFrame":
    """One row for each point."""
    import pandas as pd

    alphas, betas = sliced.alphas.tolist(), getattr(sliced, "betas", None)
    if betas is None:
        axes = {"alpha": alphas}
    else:
        axes = {"alpha": [a for a in alphas for _ in betas], "beta": betas.tolist() * len(alphas)}
    return pd.DataFrame(
        {**axes, "loss": sliced.loss.flatten().tolist(), "accuracy": sliced.accuracy.flatten().tolist()}
    )


def _lost(sliced: "Line | Plane") -> Iterator[str]:
    if sliced.non_finite:
        yield f"{sliced.non_finite} of {sliced.loss.numel()} losses are not finite"


def _written(
    sliced: "Line | Plane",
    rows: "pd.DataFrame",
    lines: list[str],
    loss: str,
    networks: dict[str, float],
    *,
    output: Path | None,
    save: Path | None,
    figure: Path | None,
) -> Iterator[str]:
    from flatmin.core.atomic import write_files
    from flatmin.results.formats import to_csv

    if output is not None:
        write_files(output.parent, {output.name: to_csv(rows)})
        yield f"Table: {output}"
    if save is not None:
        sliced.save(save)
        yield f"Slice: {save}"
    if figure is not None:
        write_files(figure.parent, {figure.name: _drawn(rows, lines, loss, networks, figure.suffix[1:])})
        yield f"Figure: {figure}"


def _named(first: Path, second: Path) -> dict[str, float]:
    """What both ends of a path are called in its figure."""
    if first.name != second.name:
        return {first.name: 0.0, second.name: 1.0}
    return {"α = 0": 0.0, "α = 1": 1.0}


def _drawn(rows: "pd.DataFrame", lines: list[str], loss: str, networks: dict[str, float], kind: str) -> bytes:
    from flatmin.figures.render import image
    from flatmin.figures.sliced import line_figure, plane_figure

    if "beta" in rows:
        return image(plane_figure(rows, lines, loss), kind)
    return image(line_figure(rows, lines, loss, networks), kind)


def _show(rows: "pd.DataFrame", lines: list[str]) -> None:
    """The points of a line, or of those along the axes of a plane, and what they rest on."""
    import numpy as np
    from rich.table import Table

    from flatmin.cli.terminal import show
    from flatmin.results.words import significant

    shown = rows if "beta" not in rows else rows[(rows["beta"].abs() < 1e-9) | (rows["alpha"].abs() < 1e-9)]
    some = np.arange(len(shown)) % max(1, -(-len(shown) // SHOWN)) == 0
    shown = shown[some | (shown["alpha"].isin([0.0, 1.0]) & ("beta" not in rows))]
    table = Table(*("accuracy (%)" if name == "accuracy" else name for name in shown.columns))
    for row in shown.assign(accuracy=100 * shown["accuracy"]).itertuples(index=False):
        table.add_row(*(significant(value, 4) for value in row))
    more = [] if len(shown) == len(rows) else [f"{len(shown)} of {len(rows):,} points; --output writes all"]
    show([table, *more, *lines])

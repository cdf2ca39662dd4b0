"""Are the minima of small and large batches one valley? Barriers, matched neurons, curves (Garipov et al. 2018)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.connectivity.settings import Connectivity

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Connectivity, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings and the paths."""
    from flatmin.studies.connectivity.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the paths, and the planes of curves where there are any, as PDF and PNG beside their numbers.

    Where no pair of minima is left nothing is drawn.
    """
    from flatmin.figures.render import figure_written
    from flatmin.studies.connectivity.figure import connectivity
    from flatmin.studies.connectivity.plane_figure import planes

    if (lines := tables.frames["connectivity_lines"]).empty:
        return []
    files = figure_written(out, "connectivity", connectivity(tables), lines)
    if len(cells := tables.frames["connectivity_planes"]):
        files += figure_written(out, "connectivity_planes", planes(tables), cells)
    return files


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.connectivity.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> "Iterator[str]":
    """The barriers with their intervals, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.connectivity.found import tabled

    caption, rows = tabled(tables)
    yield to_markdown(rows, caption)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The tables, and the barrier of each path."""
    rows: list[Any] = list(tables.frames["connectivity_barriers"].itertuples())
    numbers = {
        f"connectivity/{row.pair}_{row.first_seed}_{row.second_seed}/{row.way}_{row.batch_norm}": float(row.above_ends)
        for row in rows
        if row.quantity == "train_loss"
    }
    return {f"tables/{name}": tables.frames[name] for name in KIND.columns}, numbers


NAMED = ("network", "data", "pair", "first_seed", "second_seed", "way")

KIND = Kind(
    name="connectivity",
    words="Connectivity of minima",
    settings=Connectivity,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    tabulated=tabulated,
    columns={
        "connectivity_lines": (
            *NAMED,
            *("batch_norm", "t", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        ),
        "connectivity_barriers": (
            *NAMED,
            *("batch_norm", "quantity", "above_ends", "above_line", "at", "highest", "first_value", "second_value"),
        ),
        "connectivity_ways": (
            *NAMED,
            *("distance_before", "distance", "neurons", "moved", "sweeps", "converged"),
            *("stretch", "steps", "first_loss", "last_loss", "diverged"),
        ),
        "connectivity_planes": (*NAMED, "alpha", "beta", "loss"),
        "connectivity_places": (*NAMED, "t", "alpha", "beta"),
    },
    text=("network", "data", "pair", "way", "batch_norm", "quantity"),
    shorthand=("data", "network"),
)

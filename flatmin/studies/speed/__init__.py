"""Time of an update and of an epoch against batch size, and what limits it: Figs. 3.9 and 3.10 of Lee's book."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.speed.settings import Speed

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Speed, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the timing."""
    from flatmin.studies.speed.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.speed.figure import speed
    from flatmin.studies.speed.summary import per_size

    return figure_written(out, "speed", speed(tables), per_size(tables))


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.speed.found import sentences

    yield from sentences(tables)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """Times by batch size."""
    from flatmin.studies.speed.summary import per_size

    rows = per_size(tables)
    numbers = {
        f"speed/{name}_seconds/batch_{size}": float(row[name])
        for size, row in rows.iterrows()
        for name in ("update", "epoch")
    }
    return {"tables/speed": rows}, numbers


KIND = Kind(
    name="speed",
    words="Time of an update and of an epoch",
    settings=Speed,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    columns={
        "speed_times": ("device", "threads", "of", "batch_size", "repeat", "times", "seconds", "amount"),
        "speed_work": (
            *("device", "threads", "batch_size", "examples", "updates", "flops", "bytes", "footprint", "kernels"),
            *("load", "processors"),
        ),
    },
    text=("device", "of"),
    shorthand=("data",),
)

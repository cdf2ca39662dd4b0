"""The edge of stability: training sharpens a network until its optimiser stands no more, and goes on there.

Cohen et al. (2021), full-batch gradient descent and momentum; Cohen et al. (2022), Adam.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.edge_of_stability.settings import EdgeOfStability

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: EdgeOfStability, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings."""
    from flatmin.studies.edge_of_stability.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.edge_of_stability.figure import edge_of_stability

    rows = tables.frames["edge_of_stability"]
    return figure_written(out, "edge_of_stability", edge_of_stability(tables), rows)


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.edge_of_stability.found import sentences

    yield from sentences(tables)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The table, and how far each training ended from its line."""
    from flatmin.studies.edge_of_stability.found import NAMED, late

    rows = tables.frames["edge_of_stability"]
    ends = {
        f"edge_of_stability/{'_'.join(map(str, key[:2]))}_{key[3]:g}_seed{key[4]:g}/late_ratio": float(late(way).mean())
        for key, way in rows.groupby([*NAMED, "seed"])
    }
    return {"tables/edge_of_stability": rows}, ends


KIND = Kind(
    name="edge_of_stability",
    words="The edge of stability",
    settings=EdgeOfStability,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    columns={
        "edge_of_stability": (
            *("optimizer", "learning_rate", "momentum", "batch_size", "seed", "step", "loss", "accuracy", "rises"),
            *("hessian", "effective", "threshold", "residual", "products", "critical"),
        ),
    },
    text=("optimizer",),
    shorthand=("data",),
)

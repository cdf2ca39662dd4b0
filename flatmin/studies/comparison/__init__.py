"""Small batches against large ones: one network, several seeds, from the same starts. Keskar et al. (2017)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.comparison.settings import Comparison

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Comparison, **places: Any) -> "Study":
    """Load the data and plan the steps."""
    from flatmin.studies.comparison.prepare import prepare

    return prepare(experiment, **places)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw every figure that the tables support."""
    from flatmin import figures

    return figures.render(tables, out)


def printed(tables: "Tables") -> Iterator[Any]:
    """The summary, and which minimum is sharper."""
    from flatmin.core.errors import ResultsError
    from flatmin.results.summary_text import summary_table, terminal_tables
    from flatmin.results.verdict import verdict

    try:
        yield from terminal_tables(summary_table(tables))
    except ResultsError as error:
        yield str(error)
    yield from verdict(tables)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """Tables and means over seeds, for the mirror."""
    from flatmin.results.wandb_keys import shown_frames, shown_numbers

    return shown_frames(tables), shown_numbers(tables)


KIND = Kind(
    name="comparison",
    words="Small batches against large ones",
    settings=Comparison,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    shorthand=("data", "network"),
)

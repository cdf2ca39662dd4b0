"""What `flatmin measure` and `flatmin attack` have in common: measures by name, and a table of their numbers."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from flatmin.core.errors import ConfigError

USUAL = "epsilon_sharpness"
UNITS = {USUAL: " %"}

BatchNorm = Annotated[
    str, typer.Option("--batch-norm", metavar="running|batch|reestimate", help="Statistics that BatchNorm uses.")
]


def chosen(names: Iterable[str], seed: int, **usual: Any) -> dict[str, Callable[[Any], Any]]:
    """The measures by name, with their settings.

    Args:
        names: Of the measures.
        seed: Of those that take one.
        usual: Settings of `USUAL`.
    """
    from flatmin.measures.readings import FUNCTIONS, measure_named

    found: dict[str, Callable[[Any], Any]] = {}
    for name in names:
        try:
            function = measure_named(name)
        except ValueError as error:
            raise ConfigError(f"--measure: {error}") from None
        settings: dict[str, Any] = {"seed": seed} if name in FUNCTIONS else {}
        found[name] = partial(function, **settings, **(usual if name == USUAL else {}))
    return found


def not_converged(names: Iterable[str]) -> Iterator[str]:
    """A caution for each number that says of itself that it is not known well enough."""
    for name in names:
        yield f"{name} has not converged: its search ended before it was as good as it asks of itself"


def write_table(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Write rows as CSV."""
    import pandas as pd

    from flatmin.core.atomic import write_files
    from flatmin.results.formats import to_csv

    write_files(path.parent, {path.name: to_csv(pd.DataFrame(rows, columns=list(columns)))})

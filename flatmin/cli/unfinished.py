"""A run that was stopped before its end: what there is of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flatmin.results import Tables


@dataclass(frozen=True)
class SoFar:
    """What an unfinished run has.

    Attributes:
        tables: Of the steps that are done.
        words: That it is unfinished, and what to do.
    """

    tables: "Tables"
    words: str


def tables_so_far(folder: Path) -> SoFar | None:
    """The tables of the last run in an experiment's folder if it is unfinished; ``None`` if it is not.

    Raises:
        ResultsError: If none of its steps is done.
    """
    if not (folder / ".plans").is_dir():
        return None

    from flatmin.core.errors import ResultsError
    from flatmin.experiments.plans import last_plan
    from flatmin.experiments.study import tables_of
    from flatmin.results import Store

    plan = last_plan(folder)
    if plan is None or not (left := plan.left(folder)):
        return None
    whole = len(plan.steps)
    words = f"{folder} is unfinished, {whole - left} of {whole} steps are done: `flatmin run` with its file goes on."
    if plan.undone(folder) == whole:
        raise ResultsError(words)
    return SoFar(tables_of(plan, Store(folder)), words)


def unfinished(folders: Iterable[Path]) -> list[str]:
    """That a folder's run is unfinished, for each whose tables are older than it.

    Raises:
        ResultsError: If one has no tables yet.
    """
    from flatmin.core.errors import ResultsError

    said = []
    for folder in folders:
        if (so_far := tables_so_far(folder)) is not None:
            if not (folder / "tables").is_dir():
                raise ResultsError(f"{so_far.words} `flatmin figures {folder}` draws what there is.")
            said.append(f"{so_far.words} What is shown here is from before.")
    return said

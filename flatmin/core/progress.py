"""The bar that shows how far a long computation is: gone when it ends, and never there without a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from torch import Tensor

Advance = Callable[[], object]


def progress_bar(console: "Console") -> "Progress":
    """A bar with its share done, the time gone and the time left; silent where nobody would see it move."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=12),
        TaskProgressColumn(table_column=Column(min_width=4, no_wrap=True)),
        TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("gone,", table_column=Column(min_width=5, no_wrap=True)),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("left", table_column=Column(min_width=4, no_wrap=True)),
        expand=True,
        console=console,
        disable=not (console.is_terminal or console.is_jupyter),
        transient=True,
    )


@contextmanager
def steps_shown(words: str, total: int | None, *, shown: bool) -> Iterator[Advance]:
    """Give out what is to be called after each step.

    Args:
        words: What is done.
        total: How many steps there are; ``None`` where nobody knows, and they are counted.
        shown: Whether there is a bar, on the standard error.

    Raises:
        TypeError: If ``shown`` is no bool.
    """
    if not isinstance(shown, bool):
        raise TypeError(f"`progress` must be True or False, got {type(shown).__name__}.")
    if not shown:
        yield lambda: None
        return
    from rich.console import Console

    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(words, total=total)

        def advance() -> None:
            done = int(bar.tasks[0].completed) + 1
            bar.update(task, completed=done, description=words if total else f"{words}, evaluation {done:,}")

        yield advance


@contextmanager
def evaluations_shown(objective: Any, words: str, total: int | None, *, shown: bool) -> Iterator[Any]:
    """Give out an objective in the place of another, whose evaluations move a bar.

    Raises:
        TypeError: If ``shown`` is no bool.
    """
    with steps_shown(words, total, shown=shown) as advance:
        yield Watched(objective, advance) if shown else objective


class Watched:
    """An objective that says when it has been evaluated, and is the given one in all else."""

    def __init__(self, objective: Any, advance: Advance) -> None:
        self.objective, self.advance = objective, advance

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    def value(self, theta: "Tensor") -> "Tensor":
        """The loss."""
        found: Tensor = self.objective.value(theta)
        self.advance()
        return found

    def value_and_gradient(self, theta: "Tensor") -> "tuple[Tensor, Tensor]":
        """The loss and its gradient."""
        found: tuple[Tensor, Tensor] = self.objective.value_and_gradient(theta)
        self.advance()
        return found

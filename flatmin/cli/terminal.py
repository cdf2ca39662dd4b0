"""Text and tables in the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console


def terminal() -> Console:
    """A console that prints text as it is: long lines uncut, brackets and colons no markup."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def show(lines: Iterable[Any]) -> None:
    """Print lines of text, and tables in the terminal's width."""
    console = terminal()
    for line in lines:
        console.print(line, soft_wrap=isinstance(line, str))

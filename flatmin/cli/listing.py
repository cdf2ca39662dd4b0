"""``flatmin list``: what is done, running, interrupted and broken."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

LISTED = typer.Argument(help="Folder of all results, or of one experiment.")
ALL = typer.Option("--all", help="Show every record, not only what is unfinished.")


def list_results(results: Annotated[Path, LISTED] = Path("results"), every: Annotated[bool, ALL] = False) -> None:
    """Show the state of every experiment under a results folder, and what is wrong with broken records.

    States: finished, diverged (the loss was no longer finite), running (a process is at it), interrupted (the same
    `flatmin run` goes on with it), stale (made from a network that has since been trained anew to other numbers; the
    same `flatmin run` does it again), broken (the files do not match their checksums).
    """
    from rich.console import Console
    from rich.table import Table

    from flatmin.core.errors import ResultsError
    from flatmin.results import Store

    def is_experiment(folder: Path) -> bool:
        return folder.is_dir() and bool(Store(folder).records())

    if not results.is_dir():
        raise ResultsError(f"no results at {results}; run an experiment first, or name the folder.")
    folders = [results] if is_experiment(results) else sorted(filter(is_experiment, results.iterdir()))
    if not folders:
        raise ResultsError(f"{results} holds no experiment.")
    states = ("finished", "diverged", "running", "interrupted", "stale", "broken")
    table = Table("experiment", *states)
    lines = []
    for folder in folders:
        counts = Counter[str]()
        for record in Store(folder).records():
            state = record.state
            counts[state] += 1
            if every or state not in ("finished", "diverged"):
                problem = f": {record.problem} Delete the folder to do it again." if state == "broken" else ""
                lines.append(f"{state:11s} {record.folder}{problem}")
        table.add_row(folder.name, *(str(counts[state] or "-") for state in states))
    console = Console(highlight=False)
    console.print(table)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)

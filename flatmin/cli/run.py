"""``flatmin run``: an experiment file, from training to figures."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from flatmin.cli.stopping import stoppable
from flatmin.data.places import named_folder

TAKEN = " Taken unless it is null."

FILE = typer.Argument(help="The experiment: a file, or a name that `flatmin experiments` shows.", show_default=False)
OVERRIDES = typer.Argument(
    metavar="[KEY=VALUE]...",
    help="Settings to change, such as training.epochs=3, seeds=[0] or sharpness=null.",
    show_default=False,
)
RESULTS = typer.Option("--results", metavar="FOLDER", help="Where results lie: FOLDER/NAME for each experiment.")
ROOT = typer.Option(
    "--data",
    metavar="ROOT",
    show_default=False,
    help="Folder searched first for the data; then come $FLATMIN_DATA and the user's cache folder.",
)
PLAN = typer.Option("--plan", help="Show what would be done, and do nothing.")
DRAW = typer.Option(
    "--figures/--no-figures",
    help="Draw at the end; leave it to the last of several processes that share an experiment.",
)


class RunCommand(TyperCommand):
    """The command, whose help ends with the measures that there are, as they declare themselves."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write a line on each measure."""
        from flatmin.measures import measures

        with formatter.section("Measures (NAME={} takes one with its defaults, NAME=null none)"):
            formatter.write_dl(
                [
                    (
                        measure.name,
                        f"{(measure.settings.__doc__ or '').partition(chr(10))[0]}{TAKEN * measure.by_default}"
                        f" Settings: {', '.join(measure.settings.model_fields)}.",
                    )
                    for measure in measures().values()
                ]
            )


def run(
    file: Annotated[Path, FILE],
    overrides: Annotated[list[str] | None, OVERRIDES] = None,
    results: Annotated[Path, RESULTS] = Path("results"),
    data: Annotated[Path | None, ROOT] = None,
    plan: Annotated[bool, PLAN] = False,
    figures: Annotated[bool, DRAW] = True,
) -> None:
    """Train, measure, slice and draw: everything that an experiment file asks for and that is not done yet.

    Interrupted at any moment, the same command goes on where it was. Several processes may share an experiment: each
    passes over what another is doing. Ends with what was found, such as a table of both minima and which is sharper,
    and with the folders of figures and tables.
    """
    with stoppable():
        _run(file, overrides or [], results, data, plan=plan, draw=figures)


def _run(file: Path, overrides: list[str], results: Path, data: Path | None, *, plan: bool, draw: bool) -> None:
    from flatmin.core.allocator import keep_freed_memory

    keep_freed_memory()

    from flatmin.experiments import load_experiment
    from flatmin.experiments.shipped import experiment_file, hides_shipped

    read = experiment_file(file)
    experiment = load_experiment(read, overrides)
    if hidden := hides_shipped(read, file):
        typer.echo(f"{file}: {hidden}")

    from flatmin.experiments import Study
    from flatmin.experiments import run as run_study
    from flatmin.experiments.runner import AtWork

    study = Study.of(experiment, results=results, data_root=named_folder(data), download=not plan)

    from flatmin.cli.progress import TerminalReporter, show_plan, show_results

    if plan:
        show_plan(study)
        return
    try:
        with TerminalReporter() as reporter:
            tables = run_study(study, reporter, draw=study.kind.draw if draw else None)
    except AtWork as others:
        typer.echo(f"Nothing to do here: {others}")
        return
    show_results(tables, study, drawn=draw)

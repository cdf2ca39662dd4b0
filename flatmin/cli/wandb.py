"""``flatmin wandb``: a study as a Weights & Biases report."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="wandb", help="Weights & Biases: a report of a study.", no_args_is_help=True)

FOLDER = typer.Argument(help="results/NAME, or a folder with the tables themselves.", show_default=False)
PUBLISH = typer.Option("--publish", help="Save the report to W&B, which needs an account and the network.")
REPORT_FILE = typer.Option(
    "--out",
    metavar="FILE",
    help="JSON file to write, with a Markdown twin beside it; FOLDER/wandb_report.json unless given.",
    show_default=False,
)
PROJECT = typer.Option("--project", metavar="P", help="W&B project; the experiment's unless given.", show_default=False)
ENTITY = typer.Option(
    "--entity", metavar="E", help="W&B account or team; the experiment's, else your own.", show_default=False
)


@app.callback()
def _group() -> None:
    """Keep `report` a subcommand."""


@app.command()
def report(
    folder: Annotated[Path, FOLDER],
    publish: Annotated[bool, PUBLISH] = False,
    out: Annotated[Path | None, REPORT_FILE] = None,
    project: Annotated[str | None, PROJECT] = None,
    entity: Annotated[str | None, ENTITY] = None,
) -> None:
    """Write a report of a study: words, numbers, and panels over its W&B runs.

    Writes the specification that W&B would receive as JSON, and the same report to read as Markdown with the study's
    figures. Nothing is sent to W&B without --publish. Needs `pip install 'flatmin[reports]'`.
    """
    from flatmin.cli.unfinished import unfinished
    from flatmin.report import wandb_report

    notes = unfinished([folder])
    study = wandb_report.StudyReport.of(folder, project=project, entity=entity)
    for path in wandb_report.write_report(study, out or folder / "wandb_report.json"):
        typer.echo(path)
    if publish:
        typer.echo(wandb_report.publish(study))
    for line in notes:
        typer.echo(line)

"""The command ``flatmin``: run experiments, look at results, handle data. Heavy imports wait for the command."""

import io
import logging
import signal
import sys
import warnings

import typer

from flatmin import __version__
from flatmin.cli import attack, data, experiments, figures, listing, measure, report, run, slices, wandb
from flatmin.core.errors import FlatminError

app = typer.Typer(
    name="flatmin",
    help="Sharp and flat minima: train, measure, slice, draw. A reproduction of Keskar et al. (2017).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run", cls=run.RunCommand)(run.run)
app.command("measure", cls=measure.MeasureCommand)(measure.measure)
app.command("attack", cls=attack.AttackCommand)(attack.attack)
app.command("slice", cls=slices.SliceCommand)(slices.slice_checkpoint)
app.command("list")(listing.list_results)
app.command("figures")(figures.figures)
app.command("report")(report.report)
app.add_typer(data.app)
app.add_typer(experiments.app)
app.add_typer(wandb.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flatmin {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def main() -> None:
    """Run the command line; an error a user can mend is one line on standard error and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show must not end the work
    try:
        app()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except FlatminError as error:
        sys.exit(_said(str(error)))
    except OSError as error:
        sys.exit(_said(f"{error.filename or 'input/output'}: {error.strerror or error}."))


def _said(line: str) -> int:
    print(f"Error: {line}", file=sys.stderr)
    return 2

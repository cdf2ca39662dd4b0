"""A Weights & Biases report of a study: words and numbers from its tables, panels over the runs that mirror it.

A report is built and written to files without account or network; only `publish` talks to W&B. The JSON file holds
what W&B would receive: the specification that `wandb_workspaces` itself makes of the report, through ``_to_model``,
the step before its ``save`` sends anything. The run sets name no project, so they show that of the report.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flatmin.core.atomic import write_files
from flatmin.core.errors import FlatminError, ResultsError
from flatmin.report.study_text import setting, study_sections, title
from flatmin.report.wandb_panels import bars, curves, frames, images, library
from flatmin.results import Tables
from flatmin.results.wandb_keys import STUDY, study_name

TITLE_LENGTH = 128
NO_ACCOUNT = (
    "no W&B account is known here, or W&B is offline; run `wandb login` or set WANDB_API_KEY, "
    "leave WANDB_MODE unset, and try again."
)


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What a report is made from.

    Attributes:
        folder: The study's folder.
        tables: The tables in it.
        figures: The figures in it, as PNG.
        project: W&B project of the runs and the report.
        entity: W&B account or team; empty is the user's own.
    """

    folder: Path
    tables: Tables
    figures: tuple[Path, ...]
    project: str
    entity: str

    @classmethod
    def of(cls, folder: Path, *, project: str | None = None, entity: str | None = None) -> "StudyReport":
        """Read a study.

        Args:
            folder: ``results/NAME``, or a folder with the tables themselves.
            project: Instead of the experiment's own W&B project.
            entity: Instead of the experiment's own W&B account or team.

        Raises:
            ResultsError: If the tables are missing, incomplete or hold neither minima nor sharpness.
        """
        tables = Tables.read(folder / "tables" if (folder / "tables").is_dir() else folder)
        if tables.minima.empty and tables.sharpness.empty:
            raise ResultsError(f"nothing to report: the tables `minima` and `sharpness` of {folder} are empty.")
        own = [setting(tables, "resources", "wandb", key) for key in ("project", "entity")]
        figures = tuple(sorted((folder / "figures").glob("*.png")))
        return cls(folder, tables, figures, project or own[0] or "flatmin", entity or own[1] or "")

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return str(setting(self.tables, "name") or self.folder.resolve().name)

    @property
    def title(self) -> str:
        """Title of the report."""
        return title(self.tables, self.name)

    @property
    def runs_note(self) -> str:
        """Which runs the panels show and how they come to W&B."""
        return (
            f"The runs are those of group `{self.name}` in the project `{self.project}`: one a network, whose job type "
            f"says how it was trained, and `{study_name(self.name)}` with the tables and figures. Runs kept offline "
            f"are uploaded by `wandb sync {self.folder / 'wandb'}/offline-run-*`."
        )


def specification(report: Any) -> dict[str, Any]:
    """What W&B would receive of a report: its title and project, and under "spec" its blocks."""
    return dict(json.loads(report._to_model().model_dump_json(by_alias=True, exclude_none=True)))


def write_report(study: StudyReport, out: Path) -> list[Path]:
    """Write the report's specification as JSON and beside it the same report as Markdown; nothing is sent.

    Args:
        study: What to report.
        out: The JSON file; the Markdown takes its name with the ending ``.md`` and links the figures from there.

    Returns:
        The two files.

    Raises:
        FlatminError: If ``out`` does not end in ``.json``, cannot be written, or the package is missing.
    """
    if out.suffix != ".json":
        raise FlatminError(f"the report's file must end in .json, got {out}.")
    twin = out.with_suffix(".md")
    text = json.dumps(specification(report_specification(study)), indent=1, ensure_ascii=False) + "\n"
    write_files(out.parent, {twin.name: markdown(study, out.parent).encode(), out.name: text.encode()})
    return [out, twin]


def publish(study: StudyReport) -> str:
    """Save the report to W&B.

    Returns:
        Its address.

    Raises:
        FlatminError: If the package is missing, no account is known, or W&B does not answer or refuses.
    """
    report = report_specification(study)
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    try:
        if not wandb.login(prompt=False, verify=False):
            raise FlatminError(NO_ACCOUNT)
        report.entity = study.entity or wandb.Api().default_entity
        report.save()
    except FlatminError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise FlatminError(
            f"W&B did not take the report ({reason}); check the network, the account and the project, then try again."
        ) from error
    return str(report.url)


def markdown(study: StudyReport, place: Path) -> str:
    """The report as Markdown.

    Args:
        study: What to report.
        place: Folder that the links to the figures start from.
    """
    parts = [f"# {study.title}", *(f"## {name}\n\n{text}" for name, text in study_sections(study.tables).items())]
    if study.figures:
        links = (quote(Path(os.path.relpath(path, place)).as_posix()) for path in study.figures)
        images = (f"![{path.stem}]({link})" for path, link in zip(study.figures, links, strict=True))
        parts.append("## Figures\n\n" + "\n\n".join(images))
    return "\n\n".join([*parts, f"## Runs\n\n{study.runs_note}"]) + "\n"


def report_specification(study: StudyReport) -> Any:
    """The report as a ``wandb_workspaces.reports.v2.Report``, of which nothing has been saved.

    Raises:
        FlatminError: If the package is missing.
    """
    wr = library()
    networks = f"Group = '{study.name}' and JobType != '{STUDY}'"
    whole = f"Group = '{study.name}' and JobType = '{STUDY}'"
    trained = wr.Runset(name="networks", filters=networks, groupby=["run.Group", "run.JobType"])
    summed = wr.Runset(name="study", filters=whole)
    blocks = [
        block for name, text in study_sections(study.tables).items() for block in (wr.H2(name), wr.MarkdownBlock(text))
    ]
    grids = {
        "Training": (trained, curves(wr)),
        "Accuracy and sharpness": (summed, bars(wr, study.tables)),
        "Tables": (summed, frames(wr, study.tables)),
        "Figures": (summed, images(wr, study.figures)),
    }
    for name, (runs, panels) in grids.items():
        if panels:
            blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    return wr.Report(
        project=study.project,
        entity=study.entity,
        title=study.title[:TITLE_LENGTH],
        blocks=[*blocks, wr.H2("Runs"), wr.MarkdownBlock(study.runs_note)],
        width="fluid",
    )

"""Do the steps of an experiment that are not done yet, then gather the tables."""

from collections.abc import Sequence
from dataclasses import replace
from shutil import rmtree

import torch

from flatmin.core.atomic import write_files
from flatmin.core.errors import FlatminError
from flatmin.experiments import parts
from flatmin.experiments.devices import device_name
from flatmin.experiments.drawing import Draw, is_drawn, redraw
from flatmin.experiments.plans import DONE
from flatmin.experiments.step import Step, Workplace
from flatmin.experiments.study import Study
from flatmin.experiments.wandb_logging import Mirror, MirrorLogger
from flatmin.results import Record, Tables, formats
from flatmin.results.lock import Busy, exclusive

GROUND = "rests_on.json"
HALF_DONE = ("training*.ckpt", "training.swap", "points.jsonl")
UNFINISHED = (*HALF_DONE, GROUND, parts.PARTS)
DRAWING_SECONDS = 600.0
OCCUPIED = "another process is doing it"


class AtWork(FlatminError):
    """Other processes do all that is left, and nothing is finished yet."""


class Reporter:
    """Hears how a run goes on; this one says nothing."""

    def planned(self, study: Study) -> None:
        """The steps are known and nothing has been done yet."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def advanced(self, step: Step, share: float) -> None:
        """A further share of a step is done."""

    def ended(self, step: Step, record: Record) -> None:
        """A step has left its record."""

    def passed_over(self, step: Step, reason: str) -> None:
        """A step was not done, and why."""

    def stale(self, step: Step, grounds: Sequence[str]) -> None:
        """A step is done again, since these records that it was made from hold other numbers now."""


def run(study: Study, reporter: Reporter | None = None, *, draw: Draw | None = None) -> Tables:
    """Do what is not done yet; go on where a killed run was.

    A step that another process is doing is passed over, as is one whose network diverged. Several processes may share
    an experiment, say one a seed; tables and figures are those of all.

    Args:
        study: What to do.
        reporter: Hears how it goes on.
        draw: Draws the tables into a folder, as ``study.kind.draw`` does; then the study is mirrored too. Without it
            the tables alone are written.

    Returns:
        The tables, also written to ``tables/`` in the experiment's folder; the figures are in ``figures/``.

    Raises:
        AtWork: If other processes are doing all of it, and nothing is finished yet.
        FlatminError: If a step cannot be done; what was finished stays, and the same call goes on from there.
    """
    reporter = reporter or Reporter()
    mirror = Mirror(study.experiment, study.folder, study.tags)

    def logger(step: Step) -> MirrorLogger | None:
        return mirror.training(step.label, str(step.facts["regime"]), study.workplace.record(step).id, step.setup)

    workplace = replace(study.workplace, logger=logger)
    reporter.planned(study)
    study.plan.note(study.folder)
    with mirror:
        for step in study.steps:
            record = workplace.record(step)
            if (state := record.state) in DONE:
                clear(record)
            elif state == "broken":
                raise FlatminError(f"{record.problem} Delete {record.folder} to do this step again.")
            elif state == "running":
                reporter.passed_over(step, OCCUPIED)
            elif reason := obstacle(step, workplace):
                reporter.passed_over(step, reason)
            else:
                mirror.start()
                try:
                    perform(step, record, workplace, reporter)
                except Busy:
                    reporter.passed_over(step, OCCUPIED)
        states = [state for _, _, state in study.states()]
        if "running" in states and not any(state in DONE for state in states):
            raise AtWork(f"other processes are at work on {study.folder}; the tables follow when they have finished.")
        if "running" not in states:
            study.plan.end(study.folder)
        return written(study, mirror, draw)


def perform(step: Step, record: Record, workplace: Workplace, reporter: Reporter) -> None:
    """Do one step under its lock and seal its record, which names what it rests on."""
    with record.lock():
        reporter.started(step)
        if (state := record.state) not in DONE:
            if state == "stale":
                reporter.stale(step, record.changed_ground)
                (record.folder / "result.json").unlink()
            rests_on = grounded(step, record, workplace)
            half_done = [path for pattern in HALF_DONE for path in record.folder.glob(pattern)]
            before = parts.begin(record.folder, half_done)
            outcome = step.run(workplace, record.folder, lambda share: reporter.advanced(step, share))
            record.save(
                outcome.result,
                arrays=outcome.arrays,
                tables=outcome.tables,
                status=outcome.status,
                provenance={"device": device_name(workplace.device), "threads": torch.get_num_threads()}
                | ({parts.EARLIER: before} if before else {}),
                rests_on=rests_on,
            )
    clear(record)
    reporter.ended(step, record)


def grounded(step: Step, record: Record, workplace: Workplace) -> dict[str, str]:
    """What a step is going to read, by name and digest; what was half done with anything else is dropped."""
    needs = [workplace.record(need) for need in step.needs]
    rests_on = {need.name: need.digest for need in needs}
    content, path = formats.to_json(rests_on), record.folder / GROUND
    if path.exists() and path.read_bytes() != content:
        clear(record)
    if rests_on:
        write_files(record.folder, {GROUND: content})
    return rests_on


def clear(record: Record) -> None:
    """Remove what only an unfinished step needs."""
    for pattern in UNFINISHED:
        for path in record.folder.glob(pattern):
            rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def obstacle(step: Step, workplace: Workplace) -> str:
    """Why a step cannot be done now; empty if it can."""
    for need in step.needs:
        state = workplace.record(need).state
        if state == "diverged":
            return f"{need.label} diverged"
        if state != "finished":
            return f"{need.label} is not finished"
    if step.after is not None:
        need = step.needs[0]
        if (trained := workplace.record(need).result["epochs"]) < step.after:
            return f"{need.label} ended with epoch {trained}, before epoch {step.after}"
    return ""


def written(study: Study, mirror: Mirror, draw: Draw | None) -> Tables:
    """Write the tables, draw them and mirror both, unless all that was done with these very tables."""
    folder = study.folder
    with exclusive(folder / ".tables.lock", patience=DRAWING_SECONDS):
        tables = study.tables()
        if is_drawn(tables, folder) and tables.lie_in(folder / "tables"):
            return tables
        tables.write(folder / "tables")
        if draw is not None:
            mirror.study(*study.kind.logged(tables), redraw(draw, tables, folder))
        return tables

"""Do the steps of an experiment that are not done yet, then gather the tables and draw the figures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from flatmin.core.errors import ConfigError, FlatminError
from flatmin.data import Dataset, load
from flatmin.experiments.collect import collect
from flatmin.experiments.config import Experiment
from flatmin.experiments.plan import plan, reductions
from flatmin.experiments.registry import builder
from flatmin.experiments.step import Step, Workplace
from flatmin.experiments.wandb_logging import Mirror
from flatmin.results import Record, Store, Tables
from flatmin.results.lock import exclusive

UNFINISHED = ("training.ckpt", "points.jsonl")


class Reporter:
    """Hears how a run goes on; this one says nothing."""

    def planned(self, study: "Study") -> None:
        """The steps are known and nothing has been done yet."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def advanced(self, step: Step, share: float) -> None:
        """A further share of a step is done."""

    def ended(self, step: Step, record: Record) -> None:
        """A step has left its record."""

    def passed_over(self, step: Step, reason: str) -> None:
        """A step was not done, and why."""


@dataclass(frozen=True)
class Study:
    """An experiment with its data, its steps and the folder of its results."""

    experiment: Experiment
    dataset: Dataset
    published: int
    steps: list[Step]
    workplace: Workplace
    folder: Path

    @classmethod
    def of(cls, experiment: Experiment, *, results: Path, data_root: Path | None = None) -> "Study":
        """Load the data and plan the steps; nothing is written.

        Args:
            experiment: What to do.
            results: Folder of all results; the experiment gets a folder of its own name in it.
            data_root: Folder searched first for the data.

        Raises:
            DataError: If the data are absent or damaged.
            ConfigError: If the setup does not fit the data, or the device is absent.
        """
        device = resolved_device(experiment.resources.device)
        whole = load(experiment.data.name, root=data_root, verify=experiment.data.verify)
        dataset = shortened(whole, experiment.data.examples)
        folder = results / experiment.name
        workplace = Workplace(dataset, device, Store(folder), builder(experiment.network, dataset))
        return cls(experiment, dataset, len(whole.train), plan(experiment, dataset), workplace, folder)

    def states(self) -> Iterator[tuple[Step, Record, str]]:
        """Every step with its record and its state."""
        for step in self.steps:
            record = self.workplace.record(step)
            yield step, record, record.state

    @property
    def reduced(self) -> list[str]:
        """One sentence for each setting that uses less than all the data."""
        return reductions(self.experiment, self.dataset, self.published)

    def tables(self) -> Tables:
        """The tables of all finished steps."""
        provenance: dict[str, Any] = {
            "experiment": self.experiment.model_dump(mode="json"),
            "data": self.dataset.provenance,
            "reduced": self.reduced,
            "examples": self._examples(),
        }
        return collect(self.steps, self.workplace, provenance)

    def _examples(self) -> dict[str, int]:
        """Training examples behind each table's losses."""
        total = len(self.dataset.train)
        slices = self.experiment.slices
        lines = (slices.examples if slices else None) or total
        planes = (slices.planes.examples if slices and slices.planes else None) or lines
        return {"curves": total, "lines": min(lines, total), "planes": min(planes, total)}


def run(study: Study, reporter: Reporter | None = None) -> Tables:
    """Do what is not done yet; go on where a killed run was.

    A step that another process is doing is passed over, as is one whose network diverged. Several processes may share
    an experiment, say one a seed.

    Args:
        study: What to do.
        reporter: Hears how it goes on.

    Returns:
        The tables, also written to ``tables/`` in the experiment's folder; the figures are in ``figures/``.

    Raises:
        FlatminError: If a step cannot be done; what was finished stays, and the same call goes on from there.
    """
    reporter = reporter or Reporter()
    mirror = Mirror(study.experiment, study.folder)
    workplace = replace(study.workplace, logger=lambda step: mirror.training(step, study.workplace.record(step).id))
    reporter.planned(study)
    news = False
    for step in study.steps:
        record = workplace.record(step)
        if (state := record.state) in ("finished", "diverged"):
            continue
        if state == "broken":
            raise FlatminError(f"{record.problem} Delete {record.folder} to do this step again.")
        if state == "running":
            reporter.passed_over(step, "another process is doing it")
        elif reason := obstacle(step, workplace):
            reporter.passed_over(step, reason)
        else:
            perform(step, record, workplace, reporter)
            news = True
    return written(study, mirror if news else None)


def perform(step: Step, record: Record, workplace: Workplace, reporter: Reporter) -> None:
    """Do one step under its lock and seal its record."""
    reporter.started(step)
    with record.lock():
        if record.state not in ("finished", "diverged"):
            outcome = step.run(workplace, record.folder, lambda share: reporter.advanced(step, share))
            record.save(
                outcome.result,
                arrays=outcome.arrays,
                tables=outcome.tables,
                status=outcome.status,
                provenance={"device": described(workplace.device), "threads": torch.get_num_threads()},
            )
        for name in UNFINISHED:
            (record.folder / name).unlink(missing_ok=True)
    reporter.ended(step, record)


def obstacle(step: Step, workplace: Workplace) -> str:
    """Why a step cannot be done now; empty if it can."""
    for need in step.needs:
        state = workplace.record(need).state
        if state == "diverged":
            return f"{need.label} diverged"
        if state != "finished":
            return f"{need.label} is not finished"
    return ""


def written(study: Study, mirror: Mirror | None) -> Tables:
    """Write tables and figures, and mirror them."""
    from flatmin.figures import render

    with exclusive(study.folder / ".tables.lock"):
        tables = study.tables()
        tables.write(study.folder / "tables")
        figures = render(tables, study.folder / "figures")
    if mirror is not None:
        mirror.study(tables, figures)
    return tables


def shortened(dataset: Dataset, examples: int | None) -> Dataset:
    """The data set with the first training examples only."""
    if examples is None:
        return dataset
    if examples > len(dataset.train):
        raise ConfigError(f"data.examples must be at most the {len(dataset.train)} of {dataset.name}, got {examples}.")
    return replace(dataset, train=dataset.train.first(examples))


def resolved_device(name: str) -> torch.device:
    """The device that a setting names; ``auto`` is a GPU if there is one.

    Raises:
        ConfigError: If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"resources.device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs; use 'auto'.")
    return device


def described(device: torch.device) -> str:
    """A device as people name it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

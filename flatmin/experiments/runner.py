"""Do the steps of an experiment that are not done yet, then gather the tables and draw the figures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flatmin.core.errors import ConfigError, FlatminError
from flatmin.data import Dataset, load
from flatmin.experiments.budget import reductions, within_budget
from flatmin.experiments.cautions import cautions
from flatmin.experiments.collect import collect
from flatmin.experiments.config import Experiment
from flatmin.experiments.plan import plan
from flatmin.experiments.registry import builder
from flatmin.experiments.step import Step, Workplace
from flatmin.experiments.training_step import TrainingStep
from flatmin.experiments.wandb_logging import Mirror, MirrorLogger
from flatmin.results import Record, Store, Tables
from flatmin.results.atomic import write_files
from flatmin.results.lock import Busy, exclusive

UNFINISHED = ("training*.ckpt", ".training*.ckpt.part", "points.jsonl")
DRAWING_SECONDS = 600.0
OCCUPIED = "another process is doing it"


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
    def of(
        cls, experiment: Experiment, *, results: Path, data_root: Path | None = None, download: bool = True
    ) -> "Study":
        """Load the data and plan the steps; nothing is written.

        Args:
            experiment: What to do.
            results: Folder of all results; the experiment gets a folder of its own name in it.
            data_root: Folder searched first for the data.
            download: Fetch data that are nowhere.

        Raises:
            DataError: If the data are absent or damaged.
            ConfigError: If the setup does not fit the data, or the device is absent.
        """
        device = resolved_device(experiment.resources.device)
        whole = load(
            experiment.data.name,
            root=data_root,
            split=experiment.data.split,
            verify=experiment.data.verify,
            download=download,
        )
        dataset = shortened(whole, experiment.data.examples)
        experiment = within_budget(experiment, len(dataset.train))
        folder = results / experiment.name
        workplace = Workplace(dataset, device, Store(folder), builder(experiment.network, dataset))
        check_subspace(experiment, workplace.start(0))
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

    @property
    def cautions(self) -> list[str]:
        """One sentence for each thing that would decide a verdict without being asked."""
        trainings = [step for step in self.steps if isinstance(step, TrainingStep)]
        return cautions(self.experiment, self.dataset, trainings)

    def tables(self) -> Tables:
        """The tables of all finished steps."""
        provenance: dict[str, Any] = {
            "experiment": self.experiment.model_dump(mode="json"),
            "data": self.dataset.provenance,
            "reduced": self.reduced,
            "cautions": self.cautions,
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


def run(study: Study, reporter: Reporter | None = None, *, draw: bool = True) -> Tables:
    """Do what is not done yet; go on where a killed run was.

    A step that another process is doing is passed over, as is one whose network diverged. Several processes may share
    an experiment, say one a seed.

    Args:
        study: What to do.
        reporter: Hears how it goes on.
        draw: Draw the figures and mirror the study; without, the tables alone are written.

    Returns:
        The tables, also written to ``tables/`` in the experiment's folder; the figures are in ``figures/``.

    Raises:
        FlatminError: If a step cannot be done; what was finished stays, and the same call goes on from there.
    """
    reporter = reporter or Reporter()
    mirror = Mirror(study.experiment, study.folder)

    def logger(step: Step) -> MirrorLogger | None:
        return mirror.training(step.label, str(step.facts["regime"]), study.workplace.record(step).id, step.setup)

    workplace = replace(study.workplace, logger=logger)
    reporter.planned(study)
    for step in study.steps:
        record = workplace.record(step)
        if (state := record.state) in ("finished", "diverged"):
            clear(record)
        elif state == "broken":
            raise FlatminError(f"{record.problem} Delete {record.folder} to do this step again.")
        elif state == "running":
            reporter.passed_over(step, OCCUPIED)
        elif reason := obstacle(step, workplace):
            reporter.passed_over(step, reason)
        else:
            try:
                perform(step, record, workplace, reporter)
            except Busy:
                reporter.passed_over(step, OCCUPIED)
    return written(study, mirror if draw else None)


def perform(step: Step, record: Record, workplace: Workplace, reporter: Reporter) -> None:
    """Do one step under its lock and seal its record."""
    with record.lock():
        reporter.started(step)
        if record.state not in ("finished", "diverged"):
            outcome = step.run(workplace, record.folder, lambda share: reporter.advanced(step, share))
            record.save(
                outcome.result,
                arrays=outcome.arrays,
                tables=outcome.tables,
                status=outcome.status,
                provenance={"device": described(workplace.device), "threads": torch.get_num_threads()},
            )
    clear(record)
    reporter.ended(step, record)


def clear(record: Record) -> None:
    """Remove what only an unfinished step needs."""
    for pattern in UNFINISHED:
        for path in record.folder.glob(pattern):
            path.unlink(missing_ok=True)


def obstacle(step: Step, workplace: Workplace) -> str:
    """Why a step cannot be done now; empty if it can."""
    for need in step.needs:
        state = workplace.record(need).state
        if state == "diverged":
            return f"{need.label} diverged"
        if state != "finished":
            return f"{need.label} is not finished"
        trained = workplace.record(need).result["epochs"] if step.after is not None else 0
        if step.after is not None and trained < step.after:
            return f"{need.label} ended with epoch {trained}, before epoch {step.after}"
    return ""


def written(study: Study, mirror: Mirror | None) -> Tables:
    """Write tables and, with a mirror, figures, and mirror them, unless all that was done with these very tables."""
    from flatmin.figures import render

    folder = study.folder
    with exclusive(folder / ".tables.lock", patience=DRAWING_SECONDS):
        tables = study.tables()
        digest, seal = tables.digest().encode(), folder / ".drawn"
        places = folder / "tables", folder / "figures"
        if seal.exists() and seal.read_bytes() == digest and all(place.is_dir() for place in places):
            return tables
        tables.write(folder / "tables")
        if mirror is None:
            return tables
        mirror.study(tables, render(tables, folder / "figures"))
        write_files(folder, {seal.name: digest})
    return tables


def check_subspace(experiment: Experiment, network: nn.Module) -> None:
    """Refuse a random subspace of more dimensions than the network has weights."""
    setting = experiment.sharpness
    size = sum(parameter.numel() for parameter in network.parameters())
    if setting and "random" in setting.spaces and setting.subspace_dim > size:
        raise ConfigError(f"sharpness.subspace_dim must be at most the network's {size} weights.")


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

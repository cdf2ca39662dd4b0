"""An experiment with its steps, ready to be run: what every kind of study is prepared to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flatmin.core.kind import Kind, kind_named
from flatmin.experiments.collect import collect
from flatmin.experiments.config import Experiment
from flatmin.experiments.plans import Plan
from flatmin.experiments.step import Step, Workplace
from flatmin.results import Record, Store, Tables
from flatmin.results.provenance import portable
from flatmin.results.remarks import Remark


@dataclass(frozen=True)
class Study:
    """An experiment with its steps and the folder of its results.

    Attributes:
        experiment: What is asked for, within its budget.
        steps: What is to be done, in an order in which it can be.
        workplace: What every step works with; its store is the folder of the results.
        outline: What it consists of, line by line.
        tags: Names under which the mirror finds it.
        reduced: A remark on each setting that uses less than all there is.
        cautions: A remark on each thing that would decide a verdict without being asked.
        origins: What its tables' provenance says of the data.
    """

    experiment: Experiment
    steps: list[Step]
    workplace: Workplace
    outline: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    reduced: list[Remark] = field(default_factory=list)
    cautions: list[Remark] = field(default_factory=list)
    origins: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("reduced", "cautions"):
            for remark in getattr(self, name):
                if not isinstance(remark, Remark):
                    raise TypeError(f"`{name}` must hold instances of Remark, got {remark!r}.")

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
        folder = results / experiment.name
        study: Study = kind_named(experiment.kind).prepare(
            experiment, folder=folder, data_root=data_root, download=download
        )
        return study

    @property
    def kind(self) -> Kind:
        """The kind of study."""
        return kind_named(self.experiment.kind)

    @property
    def folder(self) -> Path:
        """The folder of its results."""
        return self.workplace.store.root

    def states(self) -> Iterator[tuple[Step, Record, str]]:
        """Every step with its record and its state."""
        for step in self.steps:
            record = self.workplace.record(step)
            yield step, record, record.state

    @property
    def plan(self) -> Plan:
        """Its steps, and what its tables say of them."""
        provenance: dict[str, Any] = {
            "experiment": self.experiment.model_dump(mode="json"),
            **portable(self.origins),
            "reduced": [remark._asdict() for remark in self.reduced],
            "cautions": [remark._asdict() for remark in self.cautions],
        }
        return Plan(self.steps, provenance)

    def tables(self) -> Tables:
        """The tables of all finished steps, those that others have done for other seeds among them."""
        return tables_of(self.plan, self.workplace.store)


def tables_of(plan: Plan, store: Store) -> Tables:
    """The tables of all finished steps of a plan and of the others of its experiment."""
    whole = plan.with_others(store.root)
    return collect(whole.steps, store, whole.provenance)

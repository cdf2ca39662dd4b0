"""What was asked for in an experiment's folder, kept there: so that tables are those of all who had a part in it.

Several processes may each do some of the seeds, and a run may be stopped before it writes any table. Each therefore
notes its steps before the first of them. Plans that differ in nothing but their seeds are of one experiment; a run with
other settings is another, whose records stay out of the tables.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from flatmin.core.atomic import write_files
from flatmin.core.errors import ResultsError
from flatmin.experiments.step import Named
from flatmin.results import Store, formats

PLANS = ".plans"
SEEDS = ("seed", "direction_seed", "direction_seeds")
APART = ("arguments", "tuned")
"""Keys below which seeds are no study's: arguments of a user's callable, and what a learning rate was tuned by."""
DONE = ("finished", "diverged")


@dataclass(frozen=True)
class Noted:
    """A step as a plan has it: what finds its record and names its rows."""

    kind: str
    label: str
    setup: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """The steps of a run, and what its tables' provenance says of it."""

    steps: Sequence[Named]
    provenance: dict[str, Any]

    @cached_property
    def experiment(self) -> str:
        """A digest of all it asks for but the seeds."""
        return sha256("\n".join(sorted(self.asked())).encode()).hexdigest()[:12]

    def asked(self, *apart: str) -> set[str]:
        """All it asks for but the seeds, those below some keys aside."""
        return {formats.canonical(_unseeded(_plain(step), *apart)) for step in self.steps}

    @cached_property
    def content(self) -> bytes:
        """What is kept of it."""
        return formats.to_json(
            {"steps": [_plain(step) for step in self.steps], "provenance": formats.plain(self.provenance)}
        )

    @property
    def name(self) -> str:
        """The file that keeps it."""
        return f"{self.experiment}-{sha256(self.content).hexdigest()[:12]}.json"

    def note(self, folder: Path) -> None:
        """Keep the plan in the experiment's folder, as the last one there.

        Raises:
            ResultsError: If the folder cannot be written.
        """
        try:
            (folder / PLANS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{folder} cannot be written: {error.strerror}.") from error
        notes = _newest_first(folder)
        if not (notes and notes[0].name == self.name):
            write_files(folder / PLANS, {self.name: self.content})

    def end(self, folder: Path) -> None:
        """Note that a run has come to its end: what has no record by now cannot be done, for a network diverged."""
        place, left = folder / PLANS / f"{self.name}.ended", str(self.undone(folder)).encode()
        if not (place.exists() and place.read_bytes() == left):
            write_files(place.parent, {place.name: left})

    def left(self, folder: Path) -> int:
        """How many steps a run would still do."""
        with suppress(OSError, ValueError):
            return max(0, self.undone(folder) - int((folder / PLANS / f"{self.name}.ended").read_bytes()))
        return self.undone(folder)

    def with_others(self, folder: Path) -> "Plan":
        """The plan with the steps that others have noted of the same experiment, seed by seed."""
        notes = sorted((folder / PLANS).glob(f"{self.experiment}-*.json"))
        others = [_read(path) for path in notes if path.name != self.name]
        if not others:
            return self
        own, whole, asked = {_place(step) for step in self.steps}, list(self.steps), self.asked(*APART)
        for other in others:
            for step in other.steps if other.asked(*APART) == asked else ():
                if _place(step) not in own:
                    own.add(_place(step))
                    whole.append(step)
        if len(whole) == len(self.steps):
            return self
        whole.sort(key=lambda step: step.facts.get("seed", -1))
        seeds = sorted({step.facts["seed"] for step in whole if "seed" in step.facts})
        settings = self.provenance.get("experiment", {})
        several = {"experiment": settings | {"seeds": seeds}} if "seeds" in settings else {}
        return Plan(whole, self.provenance | several)

    def undone(self, folder: Path) -> int:
        """How many of its steps have no record yet, or a broken one."""
        store = Store(folder)
        return sum(store.record(step.kind, step.label, step.setup).state not in DONE for step in self.steps)


def last_plan(folder: Path) -> Plan | None:
    """What was last asked for in an experiment's folder; ``None`` where no run has noted it."""
    for path in _newest_first(folder):
        if (plan := _read(path)).steps:
            return plan
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted((folder / PLANS).glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _read(path: Path) -> Plan:
    """A plan on disk; without steps where it cannot be read, for it is a note and no result."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = formats.from_json(path.read_bytes())
        return Plan([Noted(**step) for step in found["steps"]], dict(found["provenance"]))
    return Plan((), {})


def _plain(step: Named) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "label": step.label,
        "setup": formats.plain(step.setup),
        "facts": formats.plain(step.facts),
    }


def _place(step: Named) -> str:
    return formats.canonical([step.kind, formats.plain(step.setup)])


def _unseeded(value: Any, *apart: str) -> Any:
    """The value without its seeds and the labels that name them, but as it is below some keys."""
    if isinstance(value, Mapping):
        named = {key: item for key, item in value.items() if key not in (*SEEDS, "label")}
        return {key: item if key in apart else _unseeded(item, *apart) for key, item in named.items()}
    return [_unseeded(item, *apart) for item in value] if isinstance(value, list) else value

"""A training that kept more networks of its way than are asked for serves as well as one that kept these alone."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from flatmin.experiments.plans import DONE
from flatmin.experiments.training_step import TrainingStep
from flatmin.results import Store, formats
from flatmin.studies.comparison.trainings import Trainings

BEGUN = ("running", "interrupted")
Kept = dict[tuple[int, ...], dict[int, str]]
"""By the snapshots kept, then by seed: when the training ended; an empty text where it has only begun."""


def as_kept(found: Trainings, store: Store) -> Trainings:
    """The trainings with the snapshots that those already done have, where these are all that is asked for and more.

    So that fewer ``epochs`` of a measure train nothing again. All seeds of a way keep the same: what most of these
    seeds have; of equals what they have had longest, so that a study that is done stays done; else what is asked for,
    if that has begun; else what most of those that other processes have trained have, and as few as that allows.

    Args:
        found: By seed, then by regime; what goes out from a regime comes after it.
        store: The experiment's folder.
    """
    there = _there(store)
    served: Trainings = {}
    for seed, ways in found.items():
        into = served[seed] = {}
        for name, step in ways.items():
            if step.origin is not None:
                before, epoch = step.origin
                step = replace(step, origin=(into[before.regime], epoch))
            kept = there.get(_way(step.label, step.setup), {})
            snapshots = _enough(step.settings.snapshots, kept, found.keys())
            into[name] = replace(step, settings=replace(step.settings, snapshots=snapshots))
    return served


def _there(store: Store) -> dict[str, Kept]:
    """The trainings in a folder, by their way; none that is broken, or made from other numbers."""
    found: dict[str, Kept] = {}
    for record in store.records(TrainingStep.kind):
        state = record.state
        if state in (*DONE, *BEGUN) and record.setup.keys() >= {"training", "seed"}:
            snapshots = tuple(record.setup["training"].get("snapshots", ()))
            kept = found.setdefault(_way(record.label, record.setup), {}).setdefault(snapshots, {})
            kept[record.setup["seed"]] = record.provenance["ended"] if state in DONE else ""
    return found


def _enough(wanted: tuple[int, ...], kept: Kept, seeds: Set[int]) -> tuple[int, ...]:
    """The snapshots to take, of those that are all that is wanted."""

    def rank(snapshots: tuple[int, ...]) -> tuple[int, str, bool, int, int]:
        trained = kept.get(snapshots, {})
        ended = [end for seed, end in trained.items() if end and seed in seeds]
        begun = snapshots == wanted and not seeds.isdisjoint(trained)
        return -len(ended), max(ended, default=""), not begun, -sum(map(bool, trained.values())), len(snapshots)

    return min((wanted, *(snapshots for snapshots in kept if set(wanted) <= set(snapshots))), key=rank)


def _way(label: str, setup: Mapping[str, Any]) -> str:
    """What identifies a training, its name in the folder included, but its seed and the snapshots it keeps."""
    way = formats.plain(setup)
    name = label.removesuffix(f"-seed{way.pop('seed')}")
    way["training"].pop("snapshots", None)
    if "origin" in way:
        del way["origin"]["network"]["seed"]
    return formats.canonical([name, way])

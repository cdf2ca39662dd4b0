"""A training that kept more networks of its way than are asked for serves as well as one that kept these alone."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from flatmin.experiments.plans import DONE, unseeded
from flatmin.experiments.training_step import TrainingStep
from flatmin.results import Store, formats
from flatmin.studies.comparison.trainings import Trainings


def as_kept(found: Trainings, store: Store) -> Trainings:
    """The trainings with the snapshots that those already done have, where these are all that is asked for and more.

    So that fewer ``epochs`` of a measure train nothing again. All seeds of a way keep the same: what most of these
    seeds have, then most of those that other processes have trained, and as few as that allows.

    Args:
        found: By seed, then by regime; what goes out from a regime comes after it.
        store: The experiment's folder.
    """
    done = _done(store)
    served: Trainings = {}
    for seed, ways in found.items():
        into = served[seed] = {}
        for name, step in ways.items():
            if step.origin is not None:
                before, epoch = step.origin
                step = replace(step, origin=(into[before.regime], epoch))
            kept = done.get(_way(step.setup), {})
            snapshots = _enough(step.settings.snapshots, kept, found.keys())
            into[name] = replace(step, settings=replace(step.settings, snapshots=snapshots))
    return served


def _done(store: Store) -> dict[str, dict[tuple[int, ...], set[int]]]:
    """By way of training and by the snapshots kept: the seeds that are done."""
    done: dict[str, dict[tuple[int, ...], set[int]]] = {}
    for record in store.records(TrainingStep.kind):
        if record.state in DONE:
            snapshots = tuple(record.setup["training"].get("snapshots", ()))
            done.setdefault(_way(record.setup), {}).setdefault(snapshots, set()).add(record.setup["seed"])
    return done


def _enough(wanted: tuple[int, ...], kept: Mapping[tuple[int, ...], set[int]], seeds: Set[int]) -> tuple[int, ...]:
    """The snapshots of most trainings, of those that are all that is wanted."""

    def worth(snapshots: tuple[int, ...]) -> tuple[int, int, int]:
        trained = kept.get(snapshots, set())
        return len(trained & seeds), len(trained), -len(snapshots)

    return max((wanted, *(snapshots for snapshots in kept if set(wanted) <= set(snapshots))), key=worth)


def _way(setup: Mapping[str, Any]) -> str:
    """What identifies a training but its seed and the snapshots it keeps."""
    training = {key: value for key, value in setup["training"].items() if key != "snapshots"}
    return formats.canonical(unseeded(formats.plain(dict(setup) | {"training": training})))

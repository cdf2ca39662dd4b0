"""What identifies the steps of every shipped experiment stays what it was: a result made before is never made again."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from flatmin.data import Dataset, Split
from flatmin.experiments import load_experiment
from flatmin.results import Store, identity
from flatmin.studies.comparison.budget import within_budget
from flatmin.studies.comparison.plan import plan
from flatmin.studies.comparison.settings import Comparison

SHIPPED = Path(__file__).parents[2] / "experiments"
PINNED = json.loads((Path(__file__).parent / "identities.json").read_text())
SHAPES = {
    "digits": ((1, 8, 8), 10, 1_437, 360),
    "mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000),
    "cifar100": ((3, 32, 32), 100, 50_000, 10_000),
    "timit": ((360,), 1_973, 34_086, 14_609),
}


def stand_in(experiment: Comparison) -> Dataset:
    """A data set that has the sizes, but takes the room, of nothing."""
    name = experiment.data.name
    shape, classes, train, test = SHAPES[name]
    train = experiment.data.examples or train

    def split(examples: int) -> Split:
        return Split(torch.zeros(1).expand(examples, *shape), torch.zeros((), dtype=torch.int64).expand(examples))

    name = "timit_sample" if name == "timit" else name
    return Dataset(name, split(train), split(test), classes, shape, {"files": {f"{name}.npz": "0" * 32}})


def digests(experiment: Comparison, folder: Path) -> dict[str, dict[str, str]]:
    """By kind of record: how many steps there are, and a hash of the labels and identities of all of them."""
    dataset = stand_in(experiment)
    found: dict[str, list[str]] = {}
    for step in plan(within_budget(experiment, len(dataset.train)), dataset, {}, Store(folder)):
        found.setdefault(step.kind, []).append(f"{step.label} {identity(step.setup)}")
    return {
        kind: {"steps": len(lines), "sha256": sha256("\n".join(sorted(lines)).encode()).hexdigest()}
        for kind, lines in found.items()
    }


def cases() -> Iterator[tuple[str, tuple[str, ...]]]:
    for path in sorted(SHIPPED.glob("*.yaml")):
        if load_experiment(path).kind == "comparison":
            yield path.name, ()
    yield "keskar_f1.yaml", ("budget=0.05", "seeds=[0]")
    yield "keskar_c1.yaml", ("network.variant=paper", "data.examples=10000", "regimes.small_batch.batch_size=52")
    yield "fig6_f1.yaml", ("network.width=256", "sharpness.subsets=[500,2000]")
    yield "remedies_f2.yaml", ("budget=0.1", "sharpness.epochs=[0,1,2]", "effort={}")


@pytest.mark.parametrize(("file", "overrides"), list(cases()))
def test_steps_are_what_they_were(file, overrides, tmp_path):
    assert digests(load_experiment(SHIPPED / file, overrides), tmp_path) == PINNED[" ".join((file, *overrides))]


def test_every_pin_is_of_a_shipped_experiment():
    assert set(PINNED) == {" ".join((file, *overrides)) for file, overrides in cases()}

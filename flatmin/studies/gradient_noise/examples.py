"""The first examples of a data set as vectors, for studies of small networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset, load
from flatmin.experiments.budget import portion
from flatmin.experiments.setups import Data
from flatmin.experiments.small_networks import pooled
from flatmin.results.remarks import Remark
from flatmin.studies.comparison.prepare import shortened


@dataclass(frozen=True)
class Examples:
    """Examples that a small network is trained and tested on.

    Attributes:
        dataset: Inputs as vectors, less their mean, over their standard deviation.
        facts: What identifies them: name, counts, pool, inputs, classes and the files' md5s.
        reduced: A remark on what is less than all.
    """

    dataset: Dataset
    facts: dict[str, Any]
    reduced: list[Remark]

    @classmethod
    def of(
        cls,
        wanted: Data,
        *,
        pool: int,
        tests: int | None,
        budget: float,
        data_root: Path | None,
        download: bool,
    ) -> "Examples":
        """Load them.

        Args:
            wanted: The data set, and how many training examples of it.
            pool: Pixels a side that are averaged.
            tests: Test examples; ``None`` takes all.
            budget: Share of the training examples that is left.
            data_root: Folder searched first for the data.
            download: Fetch data that are nowhere.

        Raises:
            DataError: If the data are absent or damaged.
            ConfigError: If they have no classes, or fewer examples or pixels than asked for.
        """
        whole = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
        if whole.num_classes == 0:
            raise ConfigError(f"data must have classes, {whole.name} has real targets.")
        sides = whole.train.inputs.shape[2:]
        if sides and pool > min(sides):
            raise ConfigError(f"pool must be at most the {min(sides)} pixels of a side of {whole.name}, got {pool}.")
        available = len(whole.train), len(whole.test)
        count = portion(budget, wanted.examples or available[0])
        tests = available[1] if tests is None else tests
        if tests > available[1]:
            raise ConfigError(f"test_examples must be at most the {available[1]:,} of {whole.name}, got {tests:,}.")
        dataset = pooled(shortened(whole, count), pool, tests)
        facts = {
            "name": dataset.name,
            "examples": count,
            "test_examples": tests,
            "pool": pool,
            "inputs": dataset.train.inputs.shape[1],
            "classes": dataset.num_classes,
            "files": dict(dataset.provenance["files"]),
        }
        used = ((count, available[0], "training"), (tests, available[1], "test"))
        remarks = [
            Remark(f"The first {some:,} of {all_:,} {noun} examples") for some, all_, noun in used if some < all_
        ]
        return cls(dataset, facts, remarks)

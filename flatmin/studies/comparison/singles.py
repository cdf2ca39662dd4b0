"""Settings that would leave BatchNorm a single example to take statistics of, refused before anything runs."""

from collections.abc import Iterator
from copy import deepcopy

from torch import nn

from flatmin.core.cuts import cuts
from flatmin.core.errors import ConfigError
from flatmin.data import Dataset
from flatmin.experiments.measure_step import MeasureStep
from flatmin.experiments.slice_step import SliceStep
from flatmin.experiments.step import Step
from flatmin.experiments.training_step import TrainingStep
from flatmin.objective.batch_norm import batch_norm_layers
from flatmin.studies.comparison.settings import Comparison


def check_singles(experiment: Comparison, network: nn.Module, dataset: Dataset, steps: list[Step]) -> None:
    """Refuse batches of one example where a layer of BatchNorm cannot do with them.

    Raises:
        ConfigError: If a step has one.
    """
    if not batch_norm_layers(network) or takes_one(network, dataset):
        return
    sizes = {"train": len(dataset.train), "test": len(dataset.test)}
    within = "" if experiment.budget == 1 else f" within the budget of {experiment.budget:g}"
    for step in steps:
        for key, examples, batch_size in partitions(experiment, step, sizes):
            smallest = min(last - first for first, last in cuts(examples, min(batch_size, examples)))
            if smallest == 1:
                setting = "batch_size" if examples > 1 else "examples"
                name = key if "." in key else f"{key}.{setting}"
                raise ConfigError(f"{name} must be at least 2, got 1{within}: BatchNorm needs two examples in a batch.")
        if isinstance(step, TrainingStep):
            check_sub_batches(step)


def check_sub_batches(step: TrainingStep) -> None:
    """Refuse sub-batches of one example.

    Raises:
        ConfigError: If a batch is cut into such.
    """
    sub_batch = getattr(step.settings.method, "m", None)
    if sub_batch is None:
        return
    sizes = {last - first for first, last in cuts(int(step.data["examples"]), step.settings.batch_size)}
    for size in sorted(sizes):
        if size // -(-size // sub_batch) == 1:
            raise ConfigError(
                f"variations.{step.regime}.method.m must leave two examples in each part of a batch of {size:,}, got "
                f"{sub_batch}: BatchNorm needs two; take a larger m."
            )


def takes_one(network: nn.Module, dataset: Dataset) -> bool:
    """Whether the network trains on a single example: layers over images have the places of one to average over."""
    try:
        deepcopy(network).train()(dataset.train.inputs[:1])
    except ValueError:
        return False
    return True


def partitions(experiment: Comparison, step: Step, sizes: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """What a step cuts into batches whose own statistics it uses: the key of the size, examples and batch size."""
    if isinstance(step, TrainingStep):
        group = "regimes" if step.regime in experiment.regimes else "variations"
        settings = step.settings
        yield f"{group}.{step.regime}.batch_size", sizes["train"], settings.batch_size
        if settings.swap is not None:
            yield f"{group}.{step.regime}.swap.batch_size", sizes["train"], settings.swap.batch_size
        for examples in sizes.values():
            yield "training.evaluation_batch_size", examples, settings.evaluation_batch_size
    elif isinstance(step, MeasureStep) and step.asked.batch_norm != "running":
        yield step.kind, step.asked.examples, step.asked.batch_size
    elif isinstance(step, SliceStep) and step.reading.batch_norm not in ("running", "interpolated"):
        for split in step.reading.splits:
            yield "slices", min(step.reading.examples or sizes[split], sizes[split]), step.reading.batch_size

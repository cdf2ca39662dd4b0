"""What of an experiment would decide a verdict without being asked: said before anything is trained, and kept.

A last batch of a few examples counts in training as much as any other: it takes a whole step, with BatchNorm's
statistics of these few. F2 with batches of 355 on 34,086 examples, which leave one of 6, fits 85 % of them and with
batches of 356 96 %.
"""

from collections.abc import Iterable, Iterator

import torch

from flatmin.core.cuts import small_tail, tail, without_small_tail
from flatmin.core.fields import marked
from flatmin.core.precision import resolves
from flatmin.data import Dataset
from flatmin.experiments.training_step import TrainingStep
from flatmin.results.remarks import EVERYTHING, Remark
from flatmin.results.words import label_of
from flatmin.studies.comparison.settings import Comparison

ENOUGH_EXAMPLES = 5000


def cautions(experiment: Comparison, dataset: Dataset, trainings: list[TrainingStep]) -> list[Remark]:
    """A remark on each thing to beware of.

    Args:
        experiment: Within its budget.
        dataset: Its data, already cut to ``data.examples``.
        trainings: What it trains.
    """
    return [
        *dict.fromkeys(
            [
                *of_training(trainings),
                *of_remedies(trainings),
                *of_partitions(experiment, dataset),
                *of_searches(experiment, dataset),
            ]
        )
    ]


def of_training(trainings: list[TrainingStep]) -> Iterator[Remark]:
    """Batch sizes that leave a small last batch in each epoch."""
    for step in trainings:
        yield from small_tails(int(step.data["examples"]), [step.settings.batch_size])


def small_tails(examples: int, sizes: Iterable[int]) -> Iterator[Remark]:
    """A remark on each batch size that leaves a small last batch in an epoch."""
    for size in sizes:
        if small_tail(examples, size):
            yield Remark(
                f"Batches of {size:,} leave a last one of {tail(examples, size):,} in each epoch; "
                f"{without_small_tail(examples, size):,} would not"
            )


def of_remedies(trainings: list[TrainingStep]) -> Iterator[Remark]:
    """Remedies that do nothing with the batches and epochs there are, so that their rows are those of another way."""
    for step in trainings:
        settings, name = step.settings, label_of(step.regime)
        size, ghosts, growth = settings.batch_size, settings.ghost_batch_norm, settings.growing_batch
        if settings.method and (why := settings.method.idle(size)):
            yield Remark(f"Without effect in {name}: {why}")
        if ghosts and 2 * size <= 3 * ghosts:
            yield Remark(f"Without effect in {name}: ghosts of {ghosts:,} leave batches of {size:,} whole")
        if growth and min(growth.epochs) >= settings.epochs:
            yield Remark(
                f"Without effect in {name}: the batch grows after {min(growth.epochs):g} epochs, of {settings.epochs}"
            )


def of_partitions(experiment: Comparison, dataset: Dataset) -> Iterator[Remark]:
    """Partitions for evaluation with a last part whose BatchNorm statistics are those of a few examples."""
    records = ("Records", EVERYTHING, experiment.training.evaluation_batch_size, None)
    partitions: list[tuple[str, str, int, int | None]] = [records]
    for measure, section in experiment.asked:
        counts = [count for _, named in marked(section, "examples") for count in named or (None,)]
        partitions += [(measure.words, measure.name, section.batch_size, count) for count in counts]
    if slices := experiment.slices:
        partitions.append(("Slices", "lines", slices.batch_size, slices.examples))
    for name, table, size, wanted in partitions:
        for split, data in (("training", dataset.train), ("test", dataset.test)):
            examples = min(wanted or len(data), len(data))
            if small_tail(examples, size):
                yield Remark(
                    f"{name} in batches of {size:,} end with one of {tail(examples, size):,} of {examples:,} "
                    f"{split} examples",
                    table,
                )


def of_searches(experiment: Comparison, dataset: Dataset) -> Iterator[Remark]:
    """Searches on so few examples that the maximum is theirs, or in boxes so small that it is rounding's."""
    for measure, section in experiment.asked:
        enough = min(ENOUGH_EXAMPLES, len(dataset.train))
        if measure.few and section.examples and section.examples < enough:
            yield Remark(f"{measure.words} on fewer than {ENOUGH_EXAMPLES:,} examples is {measure.few}", measure.name)
        small = [e for e in getattr(section, "epsilons", ()) if not resolves(e, torch.float32)]
        if small:
            boxes = ", ".join(f"{e:g}" for e in small)
            yield Remark(
                f"{measure.words} in a box of {boxes} is decided by rounding: float32 tells too few points apart",
                measure.name,
            )

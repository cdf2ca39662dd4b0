"""Cutting an experiment to a share of its work, and saying what is reduced."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from flatmin.core.fields import Section
from flatmin.data import Dataset
from flatmin.experiments.budget import cut, portion
from flatmin.experiments.setups import Call
from flatmin.results.remarks import BEGINNINGS, Remark
from flatmin.studies.comparison.settings import Comparison, paper_regimes
from flatmin.training.settings import Training

PAPER_EPOCHS = 100
PAPER_BATCHES = {name: regime.batch_size for name, regime in paper_regimes().items()}


def within_budget(experiment: Comparison, examples: int) -> Comparison:
    """The experiment with its ``budget`` spent: that share of the epochs and of the examples of every measure.

    Epochs named in it (snapshots, warm starts) move with the number of epochs; those that fall together count once.

    Args:
        experiment: As written.
        examples: Training examples there are.
    """
    share = experiment.budget
    if share == 1:
        return experiment
    return experiment.model_copy(
        update={
            "training": training_within(experiment.training, share),
            "variations": {
                name: variation.model_copy(
                    update={
                        "start": cut(variation.start, share),
                        "training": changes_within(variation.training, share),
                        "swap": cut(variation.swap, share),
                    }
                )
                for name, variation in experiment.variations.items()
            },
            **{measure.name: cut(section, share, examples) for measure, section in experiment.asked},
            "slices": cut(experiment.slices, share, examples),
        }
    )


def training_within(training: Training, share: float) -> Training:
    """A training with a share of its epochs, and its schedule with it."""
    phases = {field.name: getattr(training, field.name) for field in fields(training)}
    whole: Training = cut(replace(training, **stretched(phases, share)), share)
    return whole


def changes_within(changes: Section | None, share: float) -> Section | None:
    """The changes of a variation with a share of the epochs that they name; what they leave out stays left out."""
    if changes is None:
        return None
    named = {name: getattr(changes, name) for name in changes.model_fields_set}
    whole = cut(changes, share)
    return changes.model_copy(update={name: getattr(whole, name) for name in named} | stretched(named, share))


def stretched(settings: Mapping[str, Any], share: float) -> dict[str, Any]:
    """The settings that are phases of a training, with a share of their length."""
    return {name: value.stretched(share) for name, value in settings.items() if hasattr(value, "stretched")}


def examples_left(experiment: Comparison, examples: int) -> int:
    """How many examples are trained on: all, where the budget leaves an epoch; else its share of all that one visits.

    Example:
        >>> from flatmin.core.kind import kind_named
        >>> experiment = kind_named("comparison").settings(name="a", data="mnist", network="F1", budget=0.002)
        >>> experiment.training.epochs, examples_left(experiment, 60_000)
        (100, 12000)
    """
    return portion(min(1.0, experiment.budget * experiment.training.epochs), examples)


def reductions(experiment: Comparison, dataset: Dataset, published: int) -> list[Remark]:
    """A remark on each setting that is less than the paper's, where it has this network, or less than all the data."""
    sentences = []
    network = experiment.network
    if not isinstance(network, Call):
        sentences += [network.reduction] if network.reduction else []
        for regime, section in experiment.regimes.items():
            if section.batch_size != (size := PAPER_BATCHES[regime]):
                sentences.append(f"{regime.replace('_', ' ').capitalize()} of {section.batch_size}, not {size}")
        if experiment.training.epochs < PAPER_EPOCHS:
            sentences.append(f"Trained for {experiment.training.epochs} of {PAPER_EPOCHS} epochs")
    if dataset.name == "timit_sample":
        speech = dataset.provenance["timit"]
        sentences.append(f"The free sample of TIMIT: {speech['utterances']} utterances, {speech['states']:,} states")
    if len(dataset.train) < published:
        sentences.append(f"Trained on the first {len(dataset.train):,} of {published:,} examples")
    total, slices = len(dataset.train), experiment.slices
    used = {measure.name: section for measure, section in experiment.asked}
    used |= {"lines": slices, "planes": slices.planes if slices else None}
    return [Remark(sentence) for sentence in sentences] + [
        Remark(f"{BEGINNINGS[table]} on the first {section.examples:,} of {total:,} training examples", table)
        for table, section in used.items()
        if section and section.examples and section.examples < total
    ]

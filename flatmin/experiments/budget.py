"""Cutting an experiment to a share of its work, and saying what is reduced."""

import math
from typing import Any

from flatmin.data import Dataset
from flatmin.experiments.config import Experiment
from flatmin.experiments.fields import Section
from flatmin.experiments.setups import paper_regimes

PAPER_WIDTH = 512
PAPER_EPOCHS = 100
PAPER_BATCHES = {name: regime.batch_size for name, regime in paper_regimes().items()}


def within_budget(experiment: Experiment, examples: int) -> Experiment:
    """The experiment with its ``budget`` spent: that share of the epochs and of the examples of every measure.

    Epochs named in it (snapshots, warm starts) move with the number of epochs; those that fall together count once.

    Args:
        experiment: As written.
        examples: Training examples there are.
    """
    share = experiment.budget
    if share == 1:
        return experiment
    epochs = {"epochs": portion(share, experiment.training.epochs)}
    return experiment.model_copy(
        update={
            "training": experiment.training.model_copy(update=epochs),
            "variations": {
                name: variation.model_copy(update={"start": moved(variation.start, share)})
                for name, variation in experiment.variations.items()
            },
            "sharpness": fewer(moved(experiment.sharpness, share), share, examples),
            "effort": fewer(experiment.effort, share, examples),
            "slices": fewer(experiment.slices, share, examples),
        }
    )


def portion(share: float, count: int) -> int:
    """A share of a count, rounded up."""
    return math.ceil(share * count)


def moved(section: Any, share: float) -> Any:
    """A section with the epochs it names moved to a share of their number."""
    if section is None or section.epochs is None:
        return section
    return section.model_copy(
        update={"epochs": tuple(dict.fromkeys(portion(share, epoch) for epoch in section.epochs))}
    )


def fewer(section: Any, share: float, examples: int) -> Any:
    """A section that evaluates a share of its examples, and so do the sections in it that name their own."""
    if section is None:
        return None
    changes: dict[str, Any] = {"examples": portion(share, section.examples or examples)}
    for name in type(section).model_fields:
        inner = getattr(section, name)
        if isinstance(inner, Section) and getattr(inner, "examples", None):
            changes[name] = fewer(inner, share, examples)
    if getattr(section, "subsets", None):
        changes["subsets"] = tuple(dict.fromkeys(portion(share, count) for count in section.subsets))
    return section.model_copy(update=changes)


def reductions(experiment: Experiment, dataset: Dataset, published: int) -> list[str]:
    """One sentence for each setting that is less than the paper's or less than all the data, for captions."""
    sentences = []
    if experiment.network.width not in (None, PAPER_WIDTH):
        sentences.append(f"{experiment.network.name} with {experiment.network.width} units a layer, not {PAPER_WIDTH}")
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
    slices = experiment.slices
    used = {
        "Sharpness": experiment.sharpness,
        "Effort of the search": experiment.effort,
        "Slices": slices,
        "Planes": slices.planes if slices else None,
    }
    total = len(dataset.train)
    for name, measure in used.items():
        if measure and measure.examples and measure.examples < total:
            sentences.append(f"{name} on the first {measure.examples:,} of {total:,} training examples")
    return sentences

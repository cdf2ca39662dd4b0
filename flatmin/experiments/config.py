"""An experiment as written in a YAML file: what to train, which sharpness and slices to take, and where to compute.

Whatever a file leaves out is the protocol of Keskar et al. (2017). A section that is left out takes its defaults;
one that is ``null`` is not done. Everything is checked before anything runs, and a key that does not exist is an
error: a typing error never becomes a default.

Example:
    >>> experiment = Experiment.model_validate({"name": "first_look", "data": "digits", "network": "F1"})
    >>> experiment.regimes["large_batch"].batch_size, experiment.training.epochs, experiment.sharpness.epsilons
    ('10%', 100, (0.001, 0.0005))
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from flatmin.experiments.fields import RegimeName, Section, Seed, Several, Share
from flatmin.experiments.measures import Effort, Sharpness, Slices
from flatmin.experiments.messages import shown
from flatmin.experiments.setups import (
    METHODS,
    Augmentation,
    Data,
    Network,
    Regime,
    Start,
    Training,
    Variation,
    paper_regimes,
)

SHORTHAND = ("data", "network")


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", value):
        raise ValueError(f"must be 'auto', 'cpu', 'cuda' or one GPU such as 'cuda:0', got {shown(value)}")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", value):
        raise ValueError(f"must be up to 80 letters, digits, dots, dashes and underscores, got {shown(value)}")
    return value


def _variation_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value) or value in get_args(RegimeName):
        raise ValueError(f"must be up to 40 small letters, digits and underscores, and no regime, got {shown(value)}")
    return value


class Wandb(Section):
    """Weights & Biases, a mirror of the results on disk.

    Attributes:
        mode: ``offline`` keeps the run in a folder, ``online`` uploads it.
        project: Project of the runs.
        entity: Account or team; ``null`` is the user's own.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: Annotated[str, Field(min_length=1)] = "flatmin"
    entity: Annotated[str, Field(min_length=1)] | None = None


class Resources(Section):
    """Where an experiment is computed; nothing here belongs to what identifies a result.

    Attributes:
        device: ``auto`` takes a GPU if there is one; else ``cpu``, ``cuda`` or one GPU such as ``cuda:0``.
        wandb: Weights & Biases.
    """

    device: Annotated[str, AfterValidator(_device)] = "auto"
    wandb: Wandb = Wandb()


class Experiment(Section):
    """One data set, one network, several seeds: small-batch and large-batch training from the same starts.

    Attributes:
        name: Names the results; it must be able to stand in a file name.
        about: What the experiment is for, in a sentence.
        data: The data set.
        network: The network.
        seeds: One start for each; the paper reports five trials.
        regimes: ``small_batch``, ``large_batch`` or both; the paper's are 256 examples and 10 % of them.
        variations: Further ways of training, by names of their own; one that is ``null`` is left out.
        training: How all are trained.
        sharpness: How sharp the minima are; ``null`` measures none.
        effort: How the sharpness found depends on the search; ``null`` (the default) does not ask.
        slices: Slices of the loss; ``null`` takes none.
        budget: Share of the epochs, and of the examples that measures and slices use; recorded as a reduced setting.
        resources: Where it is computed.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    about: str = ""
    data: Data
    network: Network
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    regimes: Annotated[dict[RegimeName, Regime], Field(min_length=1)] = Field(default_factory=paper_regimes)
    variations: dict[Annotated[str, AfterValidator(_variation_name)], Variation] = Field(default_factory=dict)
    training: Training = Training()
    sharpness: Sharpness | None = Sharpness()
    effort: Effort | None = None
    slices: Slices | None = Slices()
    budget: Share = 1.0
    resources: Resources = Resources()

    @field_validator("variations", mode="before")
    @classmethod
    def _without_null(cls, variations: Any) -> Any:
        if not isinstance(variations, dict):
            return variations
        return {name: variation for name, variation in variations.items() if variation is not None}

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        for key, wanted in self._examples_used():
            if self.data.examples is not None and wanted > self.data.examples:
                raise ValueError(f"{key} must be at most data.examples ({self.data.examples}), got {wanted}")
        for key, section in (("slices.planes", self.slices and self.slices.planes), ("effort", self.effort)):
            for seed in (section.seeds if section else None) or ():
                if seed not in self.seeds:
                    raise ValueError(f"{key}.seeds must be among the seeds {list(self.seeds)}, got {seed}")
        for key, regime, epochs in self._epochs_used():
            if regime not in self.regimes:
                raise ValueError(f"{key}.regime must be one of the regimes {list(self.regimes)}, got {regime!r}")
            if max(epochs) > self.training.epochs:
                raise ValueError(
                    f"{key}.epochs must be at most training.epochs ({self.training.epochs}), got {max(epochs)}; "
                    "`budget` cuts both"
                )
        return self

    def _epochs_used(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        for name, variation in self.variations.items():
            if variation.start:
                yield f"variations.{name}.start", variation.start.regime, variation.start.epochs
        if self.sharpness and self.sharpness.epochs:
            yield "sharpness", next(iter(self.regimes)), self.sharpness.epochs

    def _examples_used(self) -> Iterator[tuple[str, int]]:
        for regime, section in self.regimes.items():
            if isinstance(section.batch_size, int):
                yield f"regimes.{regime}.batch_size", section.batch_size
        for name, variation in self.variations.items():
            sizes = variation.batch_size if isinstance(variation.batch_size, tuple) else (variation.batch_size,)
            yield from ((f"variations.{name}.batch_size", size) for size in sizes if isinstance(size, int))
        for key, measure in (("sharpness", self.sharpness), ("effort", self.effort)):
            if measure and measure.examples:
                yield f"{key}.examples", measure.examples
        yield from (("sharpness.subsets", count) for count in (self.sharpness and self.sharpness.subsets) or ())


class _Named(dict[str, Any]):
    """The same keys below every name that a user may give."""

    def __missing__(self, name: str) -> Any:
        return self["NAME"]


def known_keys() -> dict[str, Any]:
    """Every key an experiment can have, with its default; nested as in a file."""
    keys = Experiment.model_validate({"name": "name", "data": "digits", "network": "F1"}).model_dump()
    methods = {key for method in METHODS.values() for key in method.model_fields}
    variation = {key: None for key in Variation.model_fields}
    sections = {"augmentation": Augmentation().model_dump(), "method": dict.fromkeys(methods)}
    start = dict.fromkeys(Start.model_fields)
    return keys | {"variations": _Named(NAME=variation | sections | {"start": start}), "effort": Effort().model_dump()}

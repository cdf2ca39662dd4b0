"""A comparison of regimes as written in a YAML file: what to train, which measures and slices to take.

Whatever a file leaves out is the protocol of Keskar et al. (2017).

Example:
    >>> experiment = Comparison.model_validate({"name": "first_look", "data": "digits", "network": "F1"})
    >>> experiment.regimes["large_batch"].batch_size, experiment.training.epochs, experiment.sharpness.epsilons
    ('10%', 100, (0.001, 0.0005))
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from flatmin.core.checked import Misfit
from flatmin.core.checks import SEEDS
from flatmin.core.fields import BatchSize, BatchSizes, Epoch, Section, Seed, Several, marked, places, shown
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import AnyData, AnyMethod, AnyNetwork, Call
from flatmin.experiments.slices import Slices
from flatmin.measures import Measure, measures
from flatmin.measures.measure import MeasureSettings
from flatmin.training.augmentation import Augmentation
from flatmin.training.rates import SCALINGS, regime_adaptation
from flatmin.training.settings import PHASES, Training
from flatmin.training.workers import Workers

RegimeName = Literal["small_batch", "large_batch"]


def _variation_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value) or value in get_args(RegimeName):
        raise ValueError(f"must be up to 40 small letters, digits and underscores, and no regime, got {shown(value)}")
    return value


class Regime(Section):
    """What tells the small-batch from the large-batch method: the batch size and nothing else.

    Attributes:
        batch_size: A number, or a share of the training examples such as ``10%``.
    """

    batch_size: BatchSize


class Start(Section):
    """Where a variation starts, if not at the start of its seed: Fig. 5 of Keskar et al. (2017).

    Attributes:
        regime: The regime whose iterates it starts from.
        epochs: After how many epochs of that regime; one network is trained from each.
    """

    regime: RegimeName = "small_batch"
    epochs: Several[Epoch]


class SomeSettings(Section):
    """Settings of which a file says some; the others are not there, and do not come back when these are written."""

    @model_serializer(mode="wrap")
    def _said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name in self.model_fields_set}


_HINTS = get_type_hints(Training, include_extras=True)
if TYPE_CHECKING:
    Changes = Section
else:
    Changes = create_model(
        "Changes",
        __base__=SomeSettings,
        **{field.name: (_HINTS[field.name], field.default) for field in fields(Training)},
    )
    """Settings of training, each of which may be left out."""


class Variation(Section):
    """A further way of training, compared with the regimes: Figs. 4 and 5, Tables 6 and 7 of Keskar et al. (2017).

    A batch size in it, be it of ghosts, workers or a method, may be a regime's name, and is then what that regime has.

    Attributes:
        batch_size: A number, a share of the training examples, or a list of these: one network for each.
        augmentation: Random changes of its images.
        method: ``conservative`` is Table 7; ``robust``, ``adversarial`` and ``stability`` are appendix E.3.
        start: Where it starts, if not at the start of its seed.
        training: What it is trained with in place of what the experiment's ``training`` says.
        scaling: What the learning rate is multiplied by, of the ratio of its batch to the small one (256 where there is
            none): ``linear`` is all of it (Goyal et al., 2017), ``sqrt`` its root (Hoffer et al., 2017).
        regime_adaptation: Every phase of the training is stretched until it has as many updates as with the small batch
            (Hoffer et al., 2017).
        swap: Several copies go on alone with a small batch, and their mean is kept (SWAP; Gupta et al., 2020).
    """

    batch_size: BatchSizes
    augmentation: Augmentation | None = None
    method: AnyMethod | None = None
    start: Start | None = None
    training: Changes | None = None
    scaling: Literal["linear", "sqrt"] | None = None
    regime_adaptation: bool = False
    swap: Workers | None = None

    def trained_by(self, training: Training) -> Training:
        """The experiment's training with this variation's changes.

        Raises:
            Misfit: If they do not go together.

        What depends on the batch size comes later, see :meth:`for_batch`.
        """
        changes = self.training
        return (
            replace(training, **{name: getattr(changes, name) for name in changes.model_fields_set})
            if changes
            else training
        )

    def for_batch(self, training: Training, batch_size: int, base: int, examples: int) -> Training:
        """That training for a batch, with what the file says of batches of ``base``."""
        if self.scaling is not None:
            rate = SCALINGS[self.scaling](training.learning_rate, batch_size, base=base)
            training = replace(training, learning_rate=rate)
        if self.regime_adaptation:
            sizes = {"batch_size": batch_size, "base": base, "examples": examples}
            phases = {name: phase for name in PHASES if (phase := getattr(training, name)) is not None}
            epochs, stretched = regime_adaptation(training.epochs, *phases.values(), **sizes)
            training = replace(training, epochs=epochs, **dict(zip(phases, stretched, strict=True)))
        return training


_WHOLE = ("batch_size",)
"""The batch of a variation, which may be a share of the examples; of all others it is a number."""
_SIZES = {*places(Variation, "batch")}


def _sized(value: Any, sizes: Mapping[str, int | str], variation: str, *keys: str) -> Any:
    """A part of a variation where the name of a regime that stands for a batch size is replaced by it.

    Raises:
        ValueError: If there is no such regime, or it has a share of the examples where a number is needed.
    """
    if isinstance(value, dict):
        return {key: _sized(below, sizes, variation, *keys, key) for key, below in value.items()}
    if isinstance(value, list | tuple) and keys == _WHOLE:
        return [_sized(item, sizes, variation, *keys) for item in value]
    if keys not in _SIZES or not (isinstance(value, str) and any(map(str.isalpha, value))):
        return value
    place = ".".join(("variations", variation, *keys))
    if value not in sizes:
        number = "a whole number above 0" + (", a percentage like '10%'" if keys == _WHOLE else "")
        raise ValueError(f"{place} must be {number} or one of the regimes {list(sizes)}, got {shown(value)}")
    if keys != _WHOLE and isinstance(sizes[value], str):
        raise ValueError(
            f"{place} must be a whole number, and that of {value} is {sizes[value]!r}; give it, or "
            f"regimes.{value}.batch_size, as a number"
        )
    return sizes[value]


Regimes = Annotated[dict[RegimeName, Regime], Field(min_length=1)]
_REGIMES: TypeAdapter[dict[RegimeName, Regime]] = TypeAdapter(Regimes)


def paper_regimes() -> dict[RegimeName, Regime]:
    """Batches of 256 examples and of 10 % of them."""
    return {"small_batch": Regime(batch_size=256), "large_batch": Regime(batch_size="10%")}


if TYPE_CHECKING:
    Measured = Experiment
else:
    Measured = create_model(
        "Measured",
        __base__=Experiment,
        **{
            name: (measure.settings | None, measure.settings() if measure.by_default else None)
            for name, measure in measures().items()
        },
    )


class Comparison(Measured):
    """One data set, one network, several seeds: small-batch and large-batch training from the same starts.

    Attributes:
        kind: ``comparison``.
        data: The data set; with ``call``, one of the user's own.
        network: The network; with ``call``, one of the user's own.
        loss: The user's own mean loss of a batch: a function of outputs and targets that gets the other keys as
            arguments, or a class that is made with them; ``null`` is the cross-entropy, for real targets the mean
            squared error.
        seeds: One start for each; the paper reports five trials.
        regimes: ``small_batch``, ``large_batch`` or both; the paper's are 256 examples and 10 % of them.
        variations: Further ways of training, by names of their own; one that is ``null`` is left out.
        training: How all are trained.
        slices: Slices of the loss; ``null`` takes none.

    There is a section for each measure of `flatmin.measures` besides, such as ``sharpness``; ``null`` does not measure.
    """

    follows_variations: ClassVar[bool] = False
    """Whether what is measured along training is so of the variations too, and not of the regimes alone."""

    kind: Literal["comparison"] = "comparison"
    data: AnyData
    network: AnyNetwork
    loss: Call | None = None
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    regimes: Regimes = Field(default_factory=paper_regimes)
    variations: dict[Annotated[str, AfterValidator(_variation_name)], Variation] = Field(default_factory=dict)
    training: Training = Training()
    slices: Slices | None = Slices()

    @field_validator("variations", mode="before")
    @classmethod
    def _without_null(cls, variations: Any) -> Any:
        if not isinstance(variations, dict):
            return variations
        return {name: variation for name, variation in variations.items() if variation is not None}

    @model_validator(mode="before")
    @classmethod
    def _with_sizes_of_regimes(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(variations := content.get("variations"), dict):
            return content
        try:
            regimes = _REGIMES.validate_python(content.get("regimes", paper_regimes()))
        except ValidationError:
            return content | {"variations": {}}  # what is wrong with the regimes is said, and not what follows from it
        sizes: dict[str, int | str] = {name: regime.batch_size for name, regime in regimes.items()}
        return content | {"variations": {name: _sized(part, sizes, str(name)) for name, part in variations.items()}}

    @model_validator(mode="after")
    def _fits_together(self) -> "Comparison":
        for name, variation in self.variations.items():
            try:
                variation.trained_by(self.training)
            except Misfit as error:
                raise ValueError(f"variations.{name}.training.{error.setting} {error.rule}") from None
        for key, wanted in self._examples_used():
            if self.data.examples is not None and wanted > self.data.examples:
                raise ValueError(f"{key} must be at most data.examples ({self.data.examples}), got {wanted}")
        for key, seeds in self._seeds_used():
            for seed in seeds:
                if seed not in self.seeds:
                    raise ValueError(f"{key}.seeds must be among the seeds {list(self.seeds)}, got {seed}")
        planes = self.slices.planes if self.slices else None
        if planes and "random" in planes.kinds:
            for seed in planes.seeds or self.seeds[:1]:
                if 2 * seed + 1 >= SEEDS:
                    raise ValueError(
                        f"slices.planes.seeds must be below {SEEDS // 2}, got {seed}: a random plane takes two "
                        "directions from each"
                    )
        for key, regime, _ in self._epochs_used():
            if regime not in self.regimes:
                raise ValueError(f"{key}.regime must be one of the regimes {list(self.regimes)}, got {regime!r}")
        late = {key: max(epochs) for key, _, epochs in self._epochs_used() if max(epochs) > self.training.epochs}
        if late:
            raise ValueError(
                f"{' and '.join(f'{key}.epochs' for key in late)} must be at most training.epochs "
                f"({self.training.epochs}), got {' and '.join(map(str, late.values()))}; `budget` cuts both"
            )
        return self

    @property
    def asked(self) -> list[tuple[Measure[Any], Any]]:
        """The measures that are taken, with their settings."""
        sections: list[tuple[Measure[Any], MeasureSettings | None]] = [
            (measure, getattr(self, name)) for name, measure in measures().items()
        ]
        return [(measure, section) for measure, section in sections if section is not None]

    @property
    def on_the_way(self) -> tuple[int, ...]:
        """Epochs after which some measure is taken."""
        epochs = {epoch for _, section in self.asked for epoch in getattr(section, "epochs", None) or ()}
        return tuple(sorted(epochs))

    def _seeds_used(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        sections = [(measure.name, section) for measure, section in self.asked]
        if self.slices and self.slices.planes:
            sections.append(("slices.planes", self.slices.planes))
        yield from ((key, section.seeds or ()) for key, section in sections)

    def _epochs_used(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        for name, variation in self.variations.items():
            if variation.start:
                yield f"variations.{name}.start", variation.start.regime, variation.start.epochs
        for measure, section in self.asked:
            if getattr(section, "epochs", None):
                yield measure.name, next(iter(self.regimes)), section.epochs

    def _examples_used(self) -> Iterator[tuple[str, int]]:
        for regime, section in self.regimes.items():
            if isinstance(section.batch_size, int):
                yield f"regimes.{regime}.batch_size", section.batch_size
        for name, variation in self.variations.items():
            sizes = variation.batch_size if isinstance(variation.batch_size, tuple) else (variation.batch_size,)
            yield from ((f"variations.{name}.batch_size", size) for size in sizes if isinstance(size, int))
        for measure, section in self.asked:
            for key, counts in marked(section, "examples"):
                yield from ((f"{measure.name}.{key}", count) for count in counts)

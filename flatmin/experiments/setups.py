"""What an experiment trains and how: data, network, training, and methods of training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flatmin.core.fields import Count, Epochs, Positive, Section, Share, file_safe, named, shown


def _callable(value: str) -> str:
    place, _, name = value.rpartition(":")
    if not (place and name.isidentifier()):
        raise ValueError(f"must be module:name or file.py:name, got {shown(value)}")
    return value


class Call(Section):
    """A callable of the user's own; every other key is an argument of it.

    Attributes:
        call: ``module:name`` of an installed package, or ``file.py:name`` with the file beside the experiment's.
        name: What it is called in tables and figures; the callable's own name unless given.
    """

    model_config = ConfigDict(extra="allow")

    call: Annotated[str, AfterValidator(_callable)]
    name: Annotated[str, AfterValidator(file_safe)] | None = None

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.name or self.call.rpartition(":")[2]

    @property
    def arguments(self) -> dict[str, Any]:
        """What it is called with."""
        return dict(self.model_extra or {})


class CalledData(Call):
    """A function that returns train and test, each inputs and targets, or a data set of examples.

    Attributes:
        examples: Train on the first so many training examples only: a reduced setting, recorded as such.
    """

    examples: Count | None = None


def _is_call(value: Any) -> str:
    called = "call" in value if isinstance(value, Mapping) else isinstance(value, Call)
    return "call" if called else "known"


class Data(Section):
    """The data set; the name alone may stand for the section, as in ``data: mnist``.

    Attributes:
        name: ``digits`` (ships with scikit-learn), ``mnist``, ``cifar10``, ``cifar100`` or ``timit`` (prepared from
            the licensed corpus, else from its free sample; results say which).
        examples: Train on the first so many training examples only: a reduced setting, recorded as such.
        split: Of ``timit``: 70 % of the ``frames``, as in the paper, or of the ``speakers``.
        verify: Refuse files that are not the published ones.
    """

    name: Literal["digits", "mnist", "cifar10", "cifar100", "timit"]
    examples: Count | None = None
    split: Literal["frames", "speakers"] = "frames"
    verify: bool = True

    _shorthand = model_validator(mode="before")(named)

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.name

    @field_validator("split")
    @classmethod
    def _has_split(cls, split: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if split == "speakers" and name not in ("timit", None):
            raise ValueError(f"must be absent for {name}, got {split!r}; only timit has speakers")
        return split


class Network(Section):
    """The network; the name alone may stand for the section, as in ``network: F1``.

    Attributes:
        name: ``F1``, ``F2``, ``C1``, ``C2``, ``C3`` or ``C4``, Keskar et al. (2017), appendix B.
        variant: Whether ``C1`` and ``C3`` follow the authors' code or the paper's text, which differ in the strides.
        width: Units of each hidden layer of ``F1`` and ``F2``, 512 in the paper; others are recorded as a reduced
            setting.
    """

    name: Literal["F1", "F2", "C1", "C2", "C3", "C4"]
    variant: Literal["code", "paper"] = "code"
    width: Count | None = None

    _shorthand = model_validator(mode="before")(named)

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.name

    @field_validator("variant")
    @classmethod
    def _has_variant(cls, variant: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if variant == "paper" and name in ("F1", "F2", "C2", "C4"):
            raise ValueError(f"must be 'code' for {name}, got 'paper'; only C1 and C3 differ between paper and code")
        return variant

    @field_validator("width")
    @classmethod
    def _has_width(cls, width: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if width is not None and name in ("C1", "C2", "C3", "C4"):
            raise ValueError(f"must be absent for {name}, got {width}; only F1 and F2 have one width")
        return width


AnyData = Annotated[Annotated[Data, Tag("known")] | Annotated[CalledData, Tag("call")], Discriminator(_is_call)]
AnyNetwork = Annotated[Annotated[Network, Tag("known")] | Annotated[Call, Tag("call")], Discriminator(_is_call)]


class Augmentation(Section):
    """Random changes of the training images: Table 6 of Keskar et al. (2017), whose values are the defaults.

    Attributes:
        flip: Mirror every other image.
        rotation: Largest angle, in degrees.
        translation: Largest shift, as a share of the side.
    """

    flip: bool = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Conservative(Section):
    """Each step minimises the batch's loss with a pull to where it started: Table 7 of Keskar et al. (2017).

    Attributes:
        name: ``conservative``.
        strength: Weight lambda of the pull.
        iterations: Adam steps on each batch.
    """

    name: Literal["conservative"]
    strength: Positive = 1e-3
    iterations: Count = 3


class Robust(Section):
    """The gradient is taken where the loss rises most within a ball: Foret et al. (2021), for appendix E.3.

    Attributes:
        name: ``robust``.
        rho: Radius of the ball.
    """

    name: Literal["robust"]
    rho: Positive = 0.05


class Adversarial(Section):
    """Images moved against the network count as well: Goodfellow et al. (2015), named in appendix E.3.

    Attributes:
        name: ``adversarial``.
        epsilon: How far each pixel, from 0 to 1, is moved.
        share: Weight of the moved images.
    """

    name: Literal["adversarial"]
    epsilon: Positive = 0.1
    share: Share = 0.5


class Stability(Section):
    """Noise on the images must not change the outputs: Zheng et al. (2016), named in appendix E.3.

    Attributes:
        name: ``stability``.
        sigma: Standard deviation of the noise, for pixels from 0 to 1.
        weight: Of the divergence between the outputs.
    """

    name: Literal["stability"]
    sigma: Positive = 0.04
    weight: Positive = 0.01


METHOD_SECTIONS: dict[str, type[Section]] = {
    "conservative": Conservative,
    "robust": Robust,
    "adversarial": Adversarial,
    "stability": Stability,
}


def _method(value: Any) -> Any:
    value = named(value)
    name = value["name"] if isinstance(value, Mapping) and "name" in value else getattr(value, "name", None)
    if name not in METHOD_SECTIONS:
        raise ValueError(f"must be one of {', '.join(METHOD_SECTIONS)}, got {shown(name)}")
    return value


Method = Annotated[
    Conservative | Robust | Adversarial | Stability, Field(discriminator="name"), BeforeValidator(_method)
]


class Training(Section):
    """How both regimes are trained: constant learning rate, no weight decay, no augmentation.

    Attributes:
        epochs: Passes over the training data. The paper trains until the loss stops improving; its figures show 100.
        optimizer: The paper uses Adam and says of its large batches that SGD and Adagrad do alike.
        learning_rate: The paper names none; 1e-3 is that of the authors' code.
        momentum: Of ``sgd`` only.
        patience: End after so many epochs without improvement; ``null`` trains all epochs.
        min_improvement: Share by which the training loss must fall to count as an improvement.
        evaluation_batch_size: Batches in which loss and accuracy are recorded after every epoch.
        precision: ``bfloat16`` multiplies in 16 bits during training steps, never when anything is measured.
    """

    epochs: Epochs = 100
    optimizer: Literal["adam", "sgd", "adagrad"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Count | None = None
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = 0.01
    evaluation_batch_size: Count = 5000
    precision: Literal["float32", "bfloat16"] = "float32"

    @field_validator("momentum")
    @classmethod
    def _is_used(cls, momentum: float, info: ValidationInfo) -> float:
        optimizer = info.data.get("optimizer")
        if momentum and optimizer in ("adam", "adagrad"):
            raise ValueError(f"must be 0 with {optimizer!r}, got {momentum}; only 'sgd' uses it")
        return momentum

"""What an experiment trains, and by which method: names that a file may give, or callables of the user's own."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

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

from flatmin.core.fields import Count, Section, file_safe, named, shown
from flatmin.data.sets import names
from flatmin.networks.choice import Network
from flatmin.training.methods import Method, methods


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


if TYPE_CHECKING:
    DataName = str
else:
    DataName = Literal[names()]


class Data(Section):
    """The data set; the name alone may stand for the section, as in ``data: mnist``.

    Attributes:
        name: One of those that ``flatmin data list`` shows: a set of `flatmin.data.sets`, or ``timit`` (prepared from
            the licensed corpus, else from its free sample; results say which).
        examples: Train on the first so many training examples only: a reduced setting, recorded as such.
        split: Of ``timit``: 70 % of the ``frames``, as in the paper, or of the ``speakers``.
        verify: Refuse files that are not the published ones.
    """

    name: DataName
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


AnyData = Annotated[Annotated[Data, Tag("known")] | Annotated[CalledData, Tag("call")], Discriminator(_is_call)]
AnyNetwork = Annotated[Annotated[Network, Tag("known")] | Annotated[Call, Tag("call")], Discriminator(_is_call)]


def _method(value: Any) -> Any:
    if isinstance(value, Method):
        return value
    value = named(value)
    name = value.get("name") if isinstance(value, Mapping) else None
    if name not in tuple(methods()):
        raise ValueError(f"must be one of {', '.join(methods())}, got {shown(name)}")
    return value


if TYPE_CHECKING:
    AnyMethod = Method
else:
    AnyMethod = Annotated[reduce(or_, methods().values()), Field(discriminator="name"), BeforeValidator(_method)]

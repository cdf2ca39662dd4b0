"""Settings that a program makes and a file can say: the types of the fields are the rules of both."""

from dataclasses import dataclass, is_dataclass
from types import NoneType
from typing import Any, ClassVar, Literal, cast, get_args, get_origin

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core.core_schema import CoreSchema, DataclassSchema

from flatmin.core.checks import one_of, positive, reiterable, whole, within
from flatmin.core.fields import Section, infos

LIMITS = ("gt", "ge", "lt", "le")


class Misfit(ValueError):
    """A setting that another one rules out.

    Args:
        setting: Its name.
        rule: What it must be, and what it is; without a full stop.
    """

    def __init__(self, setting: str, rule: str) -> None:
        super().__init__(setting, rule)
        self.setting, self.rule = setting, rule

    def __str__(self) -> str:
        return f"`{self.setting}` {self.rule}."


@dataclass(frozen=True)
class Checked:
    """Base of frozen dataclasses whose types say what each setting may be, in the words of `flatmin.core.fields`.

    Their constructor holds each setting to its type and says what is wrong as `flatmin.core.checks` does. As the type
    of a key in a `Section` such a class is a section too: its settings are keys, and no other key is known.

    Example:
        >>> from dataclasses import dataclass
        >>> from flatmin.core.fields import Count
        >>> @dataclass(frozen=True)
        ... class Walk(Checked):
        ...     steps: Count = 3
        >>> Walk(0)
        Traceback (most recent call last):
        ValueError: `steps` must be at least 1, got 0.
        >>> class Day(Section):
        ...     walk: Walk
        >>> Day.model_validate({"walk": {"steps": 5}})
        Day(walk=Walk(steps=5))
    """

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    def __post_init__(self) -> None:
        for name, info in infos(type(self)).items():
            check(name, getattr(self, name), info)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Keys of a file make one, although its values are taken strictly."""
        schema = handler(source)
        cast(DataclassSchema, handler.resolve_ref_schema(schema))["strict"] = False
        return schema


def check(name: str, value: Any, info: FieldInfo) -> None:
    """Hold a setting to its type; a type without a rule here allows everything.

    Raises:
        TypeError: If the value is of another type.
        ValueError: If it is out of range, or none of the names there are.
    """
    kind, parts = info.annotation, get_args(info.annotation)
    limits = {key: getattr(rule, key) for rule in info.metadata for key in LIMITS if hasattr(rule, key)}
    if NoneType in parts:
        others = [part for part in parts if part is not NoneType]
        if value is not None and len(others) == 1:
            check(name, value, FieldInfo.from_annotation(others[0]))
    elif get_origin(kind) is Literal:
        one_of(name, value, parts)
    elif get_origin(kind) is tuple:
        for item in reiterable(name, value):
            check(name, item, FieldInfo.from_annotation(parts[0]))
    elif kind is int:
        whole(name, value, minimum=limits.get("ge", value))
        within(name, value, **limits)
    elif kind is float:
        positive(name, value) if limits == {"gt": 0} else within(name, value, **limits)
    elif kind is bool and not isinstance(value, bool):
        raise TypeError(f"`{name}` must be a bool, got {type(value).__name__}.")
    elif is_dataclass(kind) and not isinstance(value, kind):
        raise TypeError(f"`{name}` must be an instance of {kind.__name__}, got {type(value).__name__}.")

"""What the sections of a settings file are made of: kinds of values, and sections that know no other keys."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = TypeVar("Item")


def shown(value: Any) -> str:
    """A value as the file would have it, cut to what fits in a line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not items:
        raise ValueError("must not be empty")
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"must not repeat an entry, got {shown(item)} twice")
    return items


def _batch_size(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]*\.?[0-9]+%", value):
        valid = 0 < Fraction(value[:-1]) <= 100
    else:
        valid = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not valid:
        raise ValueError(f"must be a whole number above 0 or a percentage like '10%', got {shown(value)}")
    return value


def _batch_sizes(value: Any) -> Any:
    return _listed_once(tuple(map(_batch_size, value))) if isinstance(value, list | tuple) else _batch_size(value)


Several = Annotated[tuple[Item, ...], Field(strict=False), AfterValidator(_listed_once)]
Count = Annotated[int, Field(ge=1)]
Examples = Annotated[Count, "examples"]
"""A number of examples, of which a budget leaves a share."""
Epoch = Annotated[int, Field(ge=0), "epoch"]
"""An epoch of training, 0 for its start, of which a budget leaves a share."""
Epochs = Annotated[int, Field(ge=1, le=1_000_000), "epoch"]
"""A number of epochs of training, of which a budget leaves a share."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
WIDEST = 1e6
Length = Annotated[float, Field(gt=0, le=WIDEST)]
"""How far to go from a point among the weights: what float32 can multiply them by."""
Share = Annotated[float, Field(gt=0, le=1)]
BatchCount = Annotated[Count, "batch"]
"""A number of examples of a batch, for which a variation may name a regime; so may it for the next two."""
BatchSize = Annotated[int | str, BeforeValidator(_batch_size), "batch"]
BatchSizes = Annotated[int | str | tuple[int | str, ...], BeforeValidator(_batch_sizes), "batch"]
BatchNormReading = Literal["running", "batch", "reestimate"]


def file_safe(value: str) -> str:
    """The text, if it can stand in a file name.

    Raises:
        ValueError: If it is not 1 to 80 letters, digits, dots, dashes and underscores, or starts with a dot or a dash.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", value):
        raise ValueError(
            f"must be up to 80 letters, digits, dots, dashes and underscores, no dot or dash first, got {shown(value)}"
        )
    return value


class Section(BaseModel):
    """A part of an experiment: no unknown keys, no conversions but that of a whole number to a float, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def infos(section: "type[Section | DataclassInstance]") -> Mapping[str, FieldInfo]:
    """What is declared of each setting of a section, or of a dataclass that stands for one."""
    if issubclass(section, Section):
        return section.model_fields
    hints = get_type_hints(section, include_extras=True)
    return {field.name: FieldInfo.from_annotation(hints[field.name]) for field in fields(section)}


def marked(section: "Section | DataclassInstance", mark: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The settings of a section whose type bears a mark, such as ``"examples"`` or ``"epoch"``, with what they name.

    Example:
        >>> class Part(Section):
        ...     examples: Examples | None = None
        ...     subsets: Several[Examples] = (20, 40)
        >>> list(marked(Part(), "examples"))
        [('examples', ()), ('subsets', (20, 40))]
    """
    for name, field in infos(type(section)).items():
        if _bears(field.annotation, mark) or mark in field.metadata:
            value = getattr(section, name)
            yield name, () if value is None else value if isinstance(value, tuple) else (value,)


def marked_below(section: "Section | DataclassInstance", mark: str, *above: str) -> Iterator[tuple[str, Any]]:
    """The settings of a section and of those in it whose type bears a mark, by their dotted keys, that are set.

    Example:
        >>> class Part(Section):
        ...     count: Examples | None = None
        >>> class Whole(Section):
        ...     part: Part
        ...     other: Part = Part()
        >>> list(marked_below(Whole(part=Part(count=3)), "examples"))
        [('part.count', (3,))]
    """
    for name, values in marked(section, mark):
        if values:
            yield ".".join((*above, name)), values
    for name in infos(type(section)):
        below = getattr(section, name)
        if isinstance(below, Section) or (is_dataclass(below) and not isinstance(below, type)):
            yield from marked_below(below, mark, *above, name)


def places(section: "type[Section | DataclassInstance]", mark: str) -> Iterator[tuple[str, ...]]:
    """The keys that lead to each setting below a section whose type bears a mark.

    Example:
        >>> class Part(Section):
        ...     count: Examples
        >>> class Whole(Section):
        ...     count: Count
        ...     part: Part | None = None
        >>> list(places(Whole, "examples"))
        [('part', 'count')]
    """
    for name, field in infos(section).items():
        if _bears(field.annotation, mark) or mark in field.metadata:
            yield (name,)
        for below in _sections(field.annotation):
            yield from ((name, *rest) for rest in places(below, mark))


def _sections(annotation: Any) -> "Iterator[type[Section | DataclassInstance]]":
    if isinstance(annotation, type) and (issubclass(annotation, Section) or is_dataclass(annotation)):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _bears(annotation: Any, mark: str) -> bool:
    return mark in getattr(annotation, "__metadata__", ()) or any(_bears(part, mark) for part in get_args(annotation))


class _Named(dict[str, Any]):
    """The same keys below every name that a user may give."""

    def __missing__(self, name: str) -> Any:
        return self["NAME"]


def known_keys(section: "type[Section | DataclassInstance]") -> dict[str, Any]:
    """Every key that a section can have; nested as in a file, ``None`` where nothing is below.

    Example:
        >>> class Point(Section):
        ...     x: float
        >>> class Line(Section):
        ...     start: Point | None = None
        >>> known_keys(Line)
        {'start': {'x': None}}
    """
    return {name: _keys_below(info.annotation) for name, info in infos(section).items()}


def _keys_below(annotation: Any) -> dict[str, Any] | None:
    if isinstance(annotation, type) and (issubclass(annotation, Section) or is_dataclass(annotation)):
        return known_keys(annotation)
    inside = [_keys_below(part) for part in get_args(annotation)]
    found = {key: below for keys in inside if keys is not None for key, below in keys.items()}
    if not found:
        return None
    if get_origin(annotation) is not dict:
        return found
    name = get_args(annotation)[0]
    return dict.fromkeys(get_args(name), found) if get_origin(name) is Literal else _Named(NAME=found)


def named(value: Any) -> Any:
    """A name alone in place of a section whose key ``name`` it is.

    Raises:
        ValueError: If it is neither a name nor a section of keys.
    """
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping | Section):
        raise ValueError(f"must be a name or a section of keys, got {shown(value)}")
    return value

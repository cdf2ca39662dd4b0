"""What the sections of an experiment file are made of: kinds of values, and sections that know no other keys."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from flatmin.experiments.messages import shown

Item = TypeVar("Item")


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
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
BatchSize = Annotated[int | str, BeforeValidator(_batch_size)]
BatchSizes = Annotated[int | str | tuple[int | str, ...], BeforeValidator(_batch_sizes)]
RegimeName = Literal["small_batch", "large_batch"]
Statistics = Literal["running", "batch", "reestimate"]


class Section(BaseModel):
    """A part of an experiment: no unknown keys, no conversions but that of a whole number to a float, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def named(value: Any) -> Any:
    """A name alone in place of a section whose key ``name`` it is."""
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping | Section):
        raise ValueError(f"must be a name or a section of keys, got {shown(value)}")
    return value

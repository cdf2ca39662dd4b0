"""Which of the paper's networks is meant, and its options: what a file may say, and their classes are made with."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from flatmin.core.fields import Count, Section, named

Variant = Literal["code", "paper"]
WIDTH = 512
"""Units of each hidden layer of F1 and F2."""


class Network(Section):
    """The network; the name alone may stand for the section, as in ``network: F1``.

    Attributes:
        name: ``F1``, ``F2``, ``C1``, ``C2``, ``C3`` or ``C4``, Keskar et al. (2017), appendix B.
        variant: Whether ``C1`` and ``C3`` follow the authors' code or the paper's text, which differ in the strides.
        width: Units of each hidden layer of ``F1`` and ``F2``, 512 in the paper; others are recorded as a reduced
            setting.
    """

    name: Literal["F1", "F2", "C1", "C2", "C3", "C4"]
    variant: Variant = "code"
    width: Annotated[Count, Field(le=16_384)] | None = None

    _shorthand = model_validator(mode="before")(named)

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.name

    @property
    def reduction(self) -> str:
        """What of it is not as in the paper; empty where all is."""
        return "" if self.width in (None, WIDTH) else f"{self.name} with {self.width} units a layer, not {WIDTH}"

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

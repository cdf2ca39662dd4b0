"""What measures and slices return: numbers with what they rest on, which print, tabulate and keep themselves.

A result is a frozen dataclass derived from `Result`; table, record, file and what it prints follow from its fields.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from flatmin import __version__
from flatmin.core.atomic import write_files
from flatmin.core.errors import ResultsError
from flatmin.core.keeping import packed, unpacked

if TYPE_CHECKING:
    import pandas as pd

ROOMS = ("connectivity", "curvature", "landscapes", "sharpness")
"""Where results are defined."""
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
SCREEN = 100


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Base of all results.

    Attributes:
        kinds: Every kind of result by its name.
        long: Fields as long as the weights: they are kept in files, but are in no table and no record.
        unit: Of the number that ``float()`` gives.
    """

    kinds: ClassVar[dict[str, type["Result"]]] = {}
    long: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Make the kind known to `load`.

        Raises:
            TypeError: If another module has one of this name.
        """
        super().__init_subclass__()
        taken = Result.kinds.setdefault(cls.__name__, cls)
        if taken.__module__ != cls.__module__:
            raise TypeError(f"a result needs a name of its own, got {cls.__name__!r}, which {taken.__module__} has.")
        Result.kinds[cls.__name__] = cls

    @property
    def contents(self) -> dict[str, Any]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rows(self) -> dict[str, Any]:
        """The columns in which every row has a number of its own; none by default, and the table has one row."""
        return {}

    def to_frame(self) -> "pd.DataFrame":
        """A tidy table: the numbers that vary, a row each, then what holds for all rows, what it rests on last."""
        import pandas as pd

        rows = self.rows()
        single = {name: v for name, v in self.contents.items() if v is None or isinstance(v, bool | int | float | str)}
        single = dict(sorted(single.items(), key=lambda item: item[0] in Measured.__annotations__))
        length = len(next(iter(rows.values()), "1"))
        return pd.DataFrame(rows | {name: [v] * length for name, v in single.items() if name not in rows})

    def to_record(self) -> dict[str, Any]:
        """All fields but vectors as long as the weights, as numbers, strings and lists, for JSON."""
        return {name: _listed(value) for name, value in self.contents.items() if name not in self.long}

    def save(self, path: Path | str) -> Path:
        """Write all fields to one file, which `flatmin.load` reads; no pickle, and whole or not at all.

        Args:
            path: The file, such as ``line.npz``; one that is there is replaced.

        Returns:
            The path.

        Raises:
            ResultsError: If it cannot be written.
        """
        path = Path(path)
        content = packed({"kind": type(self).__name__, "flatmin": __version__}, self.contents)
        write_files(path.parent, {path.name: content})
        return path

    def words(self) -> Iterator[str]:
        """What matters, one phrase after the other."""
        for name, value in self.contents.items():
            yield f"{name} {_short(value)}"

    def __repr__(self) -> str:
        text = f"{type(self).__name__}({'; '.join(filter(None, self.words()))})"
        return textwrap.fill(text, SCREEN, subsequent_indent="    ", break_on_hyphens=False)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """One with these fields, each held to its type.

        Raises:
            ValueError: If a field without a default is missing, or one is unknown or of another type.
        """
        types = get_type_hints(cls)
        names = [field.name for field in fields(cls)]
        since = {field.name for field in fields(cls) if field.default is not MISSING}
        if odd := sorted(set(values) ^ set(names) - (since - set(values))):
            raise ValueError(f"a {cls.__name__} of this version has other fields ({', '.join(odd):.80})")
        for name in values:
            try:
                values[name] = TypeAdapter(types[name], config=STRICT).validate_python(values[name])
            except ValidationError as error:
                raise ValueError(f"`{name}` of a {cls.__name__} cannot be {_short(values[name])}") from error
        return cls(**values)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Measured(Result):
    """Base of results that were taken of an objective.

    Attributes:
        batch_norm: Which BatchNorm statistics were used; ``None`` without BatchNorm, or if the objective does not say.
        examples: Examples behind the loss; ``None`` if the objective does not say.
        cautions: What the objective says the owner of a number should know, a sentence each.
    """

    batch_norm: str | None
    examples: int | None
    cautions: tuple[str, ...] = ()

    @staticmethod
    def ground(objective: Any) -> dict[str, Any]:
        """What an objective says of itself, by the fields of this class."""
        known = {field.name: getattr(objective, field.name, None) for field in fields(Measured)}
        reading = known["batch_norm"] if getattr(objective, "has_batch_norm", True) else None
        return known | {"batch_norm": reading, "cautions": tuple(known["cautions"] or ())}

    def grounds(self) -> Iterator[str]:
        """The same in words."""
        if self.batch_norm is not None:
            yield f"batch_norm={self.batch_norm!r}"
        if self.examples is not None:
            yield f"{self.examples:,} examples"
        yield from (f"CAUTION: {caution}" for caution in self.cautions)


def load(path: Path | str) -> Any:
    """Read a result that `save` wrote: its type, its numbers, NaN, infinities and dtypes as they were, on the CPU.

    Nothing in the file is run, whoever wrote it, and it takes no more memory than it has bytes.

    Args:
        path: The file.

    Returns:
        The result: a `Line`, a `Plane`, a `Sharpness`, ...

    Raises:
        ResultsError: If the file is absent, damaged, or none that flatmin wrote.

    Example:
        >>> import tempfile
        >>> from flatmin.core.functions import QuadraticObjective
        >>> from flatmin.sharpness import epsilon_sharpness
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = load(epsilon_sharpness(QuadraticObjective([1.0, 4.0]), epsilon=0.1).save(f"{folder}/bowl.npz"))
        >>> type(found).__name__, round(float(found), 6)
        ('Sharpness', 2.5)
    """
    path = Path(path)
    if not path.is_file():
        raise ResultsError(f"there is no file {path}.")
    for room in ROOMS:
        import_module(f"flatmin.{room}")
    try:
        return _read(path.read_bytes())
    except Exception as error:  # whatever a file from anywhere makes the parsers say
        reason = " ".join(str(error).split()) if type(error) is ValueError else type(error).__name__
        raise ResultsError(f"{path} is no result that flatmin can read: {reason:.150}.") from error


def _read(content: bytes) -> Result:
    """The result in a file; what does not fit together in it is found now, not when it is first looked at.

    Raises:
        ValueError: If it holds no kind of result.
    """
    about, values = unpacked(content)
    kind = str(about.get("kind"))
    if kind not in Result.kinds:
        raise ValueError(f"it holds a {kind:.40}, which is no kind of result")
    found = Result.kinds[kind].of(values)
    found.to_frame(), repr(found)
    return found


def between(numbers: Tensor, form: str = ".4g") -> str:
    """The range of the finite numbers, in words."""
    finite = numbers[numbers.isfinite()]
    return f"{float(finite.min()):{form}} to {float(finite.max()):{form}}" if len(finite) else "nowhere finite"


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_listed(item) for item in value]
    return value.tolist() if isinstance(value, Tensor) else value


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if isinstance(value, tuple):
        return f"{len(value):,} values" if len(value) > 4 else f"({', '.join(map(_short, value))})"
    return f"{value:.5g}" if isinstance(value, float) else f"{value!r:.80}"

"""Kinds of studies: what an experiment file may ask for, each declared in a folder of its own below `flatmin.studies`.

The engine (records, plan, resume, tables, mirror, list, figures, report) knows what a `Kind` says and no kind by name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from flatmin.core.declared import declared
from flatmin.core.errors import ConfigError
from flatmin.core.fields import Section, shown

Tables = Any
"""`flatmin.results.Tables`, which lie above."""
USUAL = "comparison"
"""The kind of an experiment file that names none."""


def nothing_logged(tables: Tables) -> tuple[dict[str, Any], dict[str, float]]:
    """No frames and no numbers."""
    return {}, {}


def nothing_tabulated(tables: Tables) -> Iterator[str]:
    """No tables."""
    return iter(())


@dataclass(frozen=True)
class Kind:
    """What a kind of study brings.

    Attributes:
        name: As in ``kind: NAME``; that of its folder.
        words: What it is, for a reader.
        settings: Its experiment files; a class derived from `flatmin.experiments.config.Experiment`.
        prepare: From the settings to a `flatmin.experiments.study.Study`; imports torch no earlier than when called.
            It takes the settings and ``folder``, ``data_root`` and ``download`` as keywords.
        draw: Writes the figures of its tables to a folder and returns the files.
        printed: What a run ends with, line by line: text, or tables of rich.
        logged: Frames and numbers for the mirror, by their keys.
        columns: Its own tables: the columns of each, in order.
        text: Those of the columns that hold text.
        tabulated: Tables for the report, each as Markdown.
        shorthand: Settings for which a name alone may stand.
    """

    name: str
    words: str
    settings: type[Section]
    prepare: Callable[..., Any]
    draw: Callable[[Tables, Path], list[Path]]
    printed: Callable[[Tables], Iterator[Any]]
    logged: Callable[[Tables], tuple[dict[str, Any], dict[str, float]]] = nothing_logged
    tabulated: Callable[[Tables], Iterator[str]] = nothing_tabulated
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    shorthand: tuple[str, ...] = ()


@cache
def kinds() -> dict[str, Kind]:
    """Every kind there is, by name."""
    return declared("flatmin.studies", "KIND")


def kind_named(name: Any) -> Kind:
    """The kind of this name.

    Raises:
        ConfigError: If there is none.

    Example:
        >>> kind_named("comparison").settings.__name__
        'Comparison'
    """
    found = kinds()
    if not isinstance(name, str) or name not in found:
        near = get_close_matches(str(name), found, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"kind must be one of {', '.join(found)}, got {shown(name)}{hint}")
    return found[name]


def kind_of(tables: Tables) -> Kind:
    """The kind of the study that left these tables."""
    experiment = tables.provenance.get("experiment")
    return kind_named(experiment.get("kind", USUAL) if isinstance(experiment, Mapping) else USUAL)

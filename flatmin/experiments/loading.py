"""Reading an experiment from a YAML file, with single keys set anew on the command line."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flatmin.core.bounded_yaml import Bounded
from flatmin.core.errors import ConfigError
from flatmin.core.fields import known_keys, shown
from flatmin.core.kind import USUAL, Kind, kind_named
from flatmin.core.texts import unprintable
from flatmin.experiments.messages import Location, absence, first_problem

LONGEST = 120
"""Characters of an override that a message repeats."""


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Any:
    """Read an experiment file, then set single keys anew.

    The file is YAML 1.2, so ``1e-3`` is a number and ``no`` is text. A key without a value is an error, lest a section
    whose lines are commented out be taken for ``null``.

    Args:
        path: The file.
        overrides: Dotted keys with values in YAML, such as ``"training.epochs=3"``, ``"seeds=[0]"``,
            ``"regimes.large_batch.batch_size=20%"`` or ``"sharpness=null"``; the last one counts.

    Returns:
        The experiment, in the settings of its kind.

    Raises:
        ConfigError: If there is no such file, or it or an override is not valid.
    """
    path = Path(path)
    content = _mapping(path)
    kind = _kind(content, path.name)
    experiment = _validated(content, kind, lambda location, sentence: path.name)
    if not overrides:
        return experiment.beside(path.parent)
    content = _overlaid(experiment.model_dump(), content)
    changes = [_Change.parsed(override, kind.shorthand) for override in overrides]
    for change in changes:
        change.apply(content)
    changed = _validated(content, kind, partial(_blamed, changes, path.name))
    return changed.beside(path.parent)


def _overlaid(filled: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """All that an experiment has, in the words of its file where there are any: what names another key still does."""
    content = dict(filled)
    for key in filled.keys() & written.keys():
        value, word = filled[key], written[key]
        if isinstance(value, dict) and isinstance(word, dict):
            content[key] = _overlaid(value, word)
        elif not isinstance(value, dict):
            content[key] = word
    return content


def _blamed(changes: Sequence["_Change"], file: str, location: Location, sentence: str) -> str:
    """The override behind a problem: the nearest to its place, where it has one, else one whose key is named."""
    if location:
        return max(reversed(changes), key=lambda change: change.nearness(location)).source
    named = [change for change in changes if re.search(rf"(?<![\w.]){re.escape('.'.join(change.keys))}\b", sentence)]
    return named[-1].source if named else file


class _Loader(Bounded, yaml.SafeLoader):
    """Plain scalars by the core schema of YAML 1.2, save that no value is not ``null``; and no key twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        text = super().construct_scalar(node)
        try:
            text.encode()
        except UnicodeEncodeError:
            lone = f"text must be characters, got half of one in {shown(text)}"
            raise yaml.constructor.ConstructorError(None, None, lone, node.start_mark) from None
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, mark = self.construct_object(key_node, deep=True), key_node.start_mark
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"a key must be text, got {shown(key)}", mark)
            if key in lines:
                first = f"key {key!r} was already set on line {lines[key]}"
                raise yaml.constructor.ConstructorError(None, None, first, mark)
            lines[key] = mark.line + 1
        return super().construct_mapping(node, deep)


for _tag, _pattern in {
    "null": r"~|null|Null|NULL",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), None)


def _mapping(path: Path) -> dict[str, Any]:
    """The content of an experiment file.

    Raises:
        ConfigError: If the file is absent, cannot be read, or is not keys with values, in YAML and UTF-8.
    """
    try:
        content = _yaml(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not a text file in UTF-8.") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(absence(path)) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    if content is None:
        raise ConfigError(f"{path.name} is empty; an experiment needs at least name, data and network.")
    if not isinstance(content, dict):
        raise ConfigError(f"{path.name} must hold keys with values such as 'name: fig3', got {shown(content)}.")
    return content


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1} is" if error.problem_mark else "it is"
        problem = error.problem or ""
        problem = f"{error.context}, {problem}" if problem.startswith("but ") else problem
        raise ConfigError(f"{source}: {where} not valid YAML: {problem}.") from error
    except (yaml.YAMLError, AttributeError, ValueError) as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}.") from error


@dataclass(frozen=True)
class _Change:
    """An override: the keys that lead to a value, the value, and what to call it in a message."""

    keys: tuple[str, ...]
    value: Any
    source: str

    @classmethod
    def parsed(cls, override: str, shorthand: Sequence[str]) -> "_Change":
        words = " ".join(override.split())
        source = f"override {words if len(words) <= LONGEST else f'{words[: LONGEST - 3]}...'}"
        dotted, _, text = (part.strip() for part in override.partition("="))
        if not (dotted and text):
            raise ConfigError(f"{source} must be key=value, such as training.epochs=3.")
        value = _yaml(text, source)
        return cls(
            tuple(dotted.split(".")),
            {"name": value} if dotted in shorthand and isinstance(value, str) else value,
            source,
        )

    def apply(self, content: dict[str, Any]) -> None:
        for depth, key in enumerate(self.keys[:-1], start=1):
            content = content.setdefault(key, {})
            place, rest = ".".join(self.keys[:depth]), ".".join(self.keys[depth:])
            if content is None:
                raise ConfigError(f"{self.source}: {place} is null; switch it on with {place}={{{rest}: ...}}.")
            if not isinstance(content, dict):
                raise ConfigError(f"{self.source}: {place} has no keys below it.")
        if self.keys[:-1] == ("variations",) and self.value is None:
            self._known([self.keys[-1]], content)
        whole = self.keys == ("variations",)
        content[self.keys[-1]] = self._taken(content.get("variations") or {}) if whole else self.value

    def _taken(self, there: Any) -> Any:
        """The variations of a file that a list names; anything else as it is.

        Raises:
            ConfigError: If there is none of a name, or a name stands alone.
        """
        if isinstance(self.value, str):
            raise ConfigError(f"{self.source}: variations must be a list such as [{self.value}], or a section of keys.")
        if not (isinstance(self.value, list) and isinstance(there, dict)):
            return self.value
        self._known(self.value, there)
        return {name: there[name] for name in self.value}

    def _known(self, names: Sequence[Any], there: Mapping[str, Any]) -> None:
        if unknown := [name for name in names if not (isinstance(name, str) and name in there)]:
            listed = ", ".join(there) or "none"
            raise ConfigError(f"{self.source}: there is no such variation as {shown(unknown[0])}; there are: {listed}.")

    def nearness(self, location: Location) -> int:
        """Leading keys shared with a place that is wrong; all else was valid before the overrides."""
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(self.keys, location, strict=False))))


def _kind(content: Mapping[str, Any], source: str) -> Kind:
    """The kind of study that a file asks for.

    Raises:
        ConfigError: If there is no such kind.
    """
    try:
        return kind_named(content.get("kind", USUAL))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _validated(content: Mapping[str, Any], kind: Kind, source: Callable[[Location, str], str]) -> Any:
    """The experiment, or one line on the first thing wrong with it.

    Raises:
        ConfigError: If a key is unknown or missing, or a value does not fit.
    """
    if (text := unprintable(content)) is not None:
        place = source((), "")
        raise ConfigError(f"{place}: a text must have no control characters, got {shown(text)}.")
    try:
        return kind.settings.model_validate(content)
    except ValidationError as error:
        required = [name for name, field in kind.settings.model_fields.items() if field.is_required()]
        problem, sentence = first_problem(error.errors(include_url=False), known_keys(kind.settings), required)
    raise ConfigError(f"{source(problem, sentence)}: {sentence}") from None

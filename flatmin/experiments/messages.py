"""What is wrong with an experiment file, in one line that names the key, the rule and the value."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flatmin.core.checked import Misfit
from flatmin.core.fields import shown

Location = tuple[str | int, ...]

RULES: dict[str, str] = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be finite",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list in brackets",
    "dict_type": "must be a section of keys",
    "model_type": "must be a section of keys",
    "dataclass_type": "must be a section of keys",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MOST_LISTED = 5
CHOSEN = ("method", "data", "network")
"""Keys below which there may be sections of several kinds."""


def absence(path: Path) -> str:
    """That there is no such file, and which there are."""
    folder = path if path.is_dir() else path.parent
    others = sorted(entry for place in (folder, folder / "experiments") for entry in place.glob("*.yaml"))
    near = difflib.get_close_matches(path.name, [other.name for other in others], n=1)
    if near:
        return f"no experiment file {path}; did you mean {next(other for other in others if other.name == near[0])}?"
    return f"no experiment file {path}" + (f"; there are {', '.join(map(str, others))}." if others else ".")


def first_problem(
    problems: Sequence[Mapping[str, Any]], known: Mapping[str, Any], required: Collection[str]
) -> tuple[Location, str]:
    """The first thing wrong; an unknown key comes first, since it explains most of the others.

    Args:
        problems: What pydantic found.
        known: Every key there is, nested.
        required: Top-level keys without a default.

    Returns:
        Where it is, and a sentence on it; then one on each of the others.
    """
    ordered = sorted(problems, key=lambda problem: not _is_unknown_key(problem))
    first, *others = dict.fromkeys(_sentence(problem, known, required) for problem in ordered)
    listed = " ".join(others[:MOST_LISTED]) + (f" And {more} more." if (more := len(others) - MOST_LISTED) > 0 else "")
    return _location(ordered[0]), f"{first} Besides: {listed}" if others else first


def _location(problem: Mapping[str, Any]) -> Location:
    """Where it is in the file, without the name of the kind, which pydantic puts after a key that has several."""
    error = problem.get("ctx", {}).get("error")
    keys = (*problem["loc"], *([error.setting] if isinstance(error, Misfit) else []))
    return tuple(
        key for before, key in zip((None, *keys), keys, strict=False) if before not in CHOSEN or key == "[key]"
    )


def _is_unknown_key(problem: Mapping[str, Any]) -> bool:
    return problem["type"] in UNKNOWN or "[key]" in tuple(problem["loc"])


def _sentence(problem: Mapping[str, Any], known: Mapping[str, Any], required: Collection[str]) -> str:
    """What is wrong, in words that name the key, the rule and the value."""
    location, kind, value = _location(problem), problem["type"], problem["input"]
    if _is_unknown_key(problem):
        return _unknown_key(tuple(key for key in location if key != "[key]"), known)
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in location).lstrip(".")
    if kind == "missing":
        return f"{place} is missing."
    if kind == "value_error":
        error = problem["ctx"]["error"]
        return f"{place} {error.rule if isinstance(error, Misfit) else error}.".lstrip()
    if value == "":
        return f"{place} has no value" + ("." if location[0] in required else "; leave it out for its default.")
    limits = {
        name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in problem.get("ctx", {}).items()
    }
    rule = RULES[kind].format(**limits) if kind in RULES else f"is not valid ({problem['msg']})"
    if kind == "greater_than" and not problem["ctx"]["gt"]:
        rule = "must be positive"
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        hint = _did_you_mean(value, re.findall("'(.*?)'", problem["ctx"]["expected"]))
    return f"{place} {rule}, got {shown(value)}{hint or '.'}"


def _farness(path: str) -> tuple[bool, int]:
    """How seldom a dotted key is meant: those of measures, which all have the same, after the others."""
    from flatmin.measures import measures

    return path.split(".")[0] in measures(), len(path)


def _unknown_key(location: Location, everywhere: Mapping[str, Any]) -> str:
    """An unknown key, with the key that may have been meant: a similar one, or the same in another section."""
    *sections, key = map(str, location)
    known = everywhere
    for section in sections:
        known = known[section]
    under = f" under {'.'.join(sections)}" if sections else ""
    hint = "; it belongs to another name there." if key in known else _did_you_mean(key, list(known))
    if not hint and key in everywhere:
        hint = "; it belongs at the top level."
    if not hint:
        same = [path for path in _dotted(everywhere) if path.endswith(f".{key}")]
        hint = f"; did you mean {min(same, key=_farness)!r}?" if same else f"; known: {', '.join(known)}."
    return f"unknown key {shown(key)}{under}{hint}"


def _dotted(keys: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, below in keys.items():
        yield above + key
        if isinstance(below, Mapping):
            yield from _dotted(below, f"{above}{key}.")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""

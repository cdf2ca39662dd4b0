"""What a provenance may look like: foreign or old ones are read too, and must not lead a figure or a report astray.

Only what figures and reports ask for is held to a kind; a key that is absent or null is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flatmin.core.fields import shown
from flatmin.core.kind import USUAL
from flatmin.core.texts import unprintable

NUMBER = (int, float)
KINDS: dict[str, Any] = {
    "experiment": (dict, str),
    "experiment.kind": str,
    "experiment.name": str,
    "experiment.about": str,
    "experiment.resources": dict,
    "experiment.resources.wandb": dict,
    "loss": str,
    "examples": dict,
    "examples.*": int,
    "made_with": dict,
    "made_with.*": list,
    "made_with.git.*": dict,
    "reduced": list,
    "cautions": list,
}
COMPARISON: dict[str, Any] = {
    "experiment.network": (dict, str),
    "experiment.network.width": int,
    "experiment.data": (dict, str),
    "experiment.seeds": list,
    "experiment.variations": dict,
    "experiment.variations.*": dict,
    "experiment.variations.*.start": dict,
    "experiment.variations.*.method": dict,
    "experiment.sharpness": dict,
    "experiment.training": dict,
    "experiment.training.learning_rate": NUMBER,
}
"""What the settings of the usual kind are; another kind has settings of its own."""
WORDS = {dict: "keys with values", str: "text", list: "a list", int: "a whole number", NUMBER: "a number"}
WORDS |= {(dict, str): "keys with values, or text"}


def check_shape(provenance: Mapping[str, Any]) -> None:
    """Hold a provenance to its shape.

    Raises:
        ValueError: If something in it is of another kind, or holds control characters.
    """
    experiment = provenance.get("experiment")
    usual = not isinstance(experiment, Mapping) or experiment.get("kind", USUAL) == USUAL
    for path, kinds in (KINDS | COMPARISON if usual else KINDS).items():
        for value in _at(provenance, path.split(".")):
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise ValueError(f"`{path}` must be {WORDS[kinds]}, got {type(value).__name__}")
    if (text := unprintable(provenance)) is not None:
        raise ValueError(f"it holds a text with control characters, {shown(text)}")


def _at(value: Any, keys: list[str]) -> Iterator[Any]:
    """What lies at the place that keys lead to; ``*`` stands for every one."""
    if not keys:
        yield value
        return
    parts = value if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, list) else {}
    for key, part in parts.items():
        if keys[0] in ("*", key):
            yield from _at(part, keys[1:])

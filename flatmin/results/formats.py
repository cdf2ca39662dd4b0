"""JSON, CSV, NPZ and YAML with nothing lost: every float comes back bit for bit.

JSON has no word for infinity and not-a-number. They are written as ``{"$float": "inf"}``, so that any reader
can parse the file and none takes them for text. In CSV they are ``nan`` and ``inf``; an empty field reads as
missing.
"""

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import yaml

from flatmin.core.bounded_yaml import MOST_NESTED, Bounded
from flatmin.results.schema import text_columns

# pandas reads floats exactly by itself from 3.1 on, where it warns of the argument.
_OLD_PANDAS = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
_TOO_DEEP = f"it is nested more than {MOST_NESTED} levels deep"
_EXACT: Any = {"float_precision": "round_trip"} if _OLD_PANDAS else {}


class _Loader(Bounded, yaml.SafeLoader):
    """PyYAML's own, bounded."""


def plain(value: Any, where: str = "value", *, finite: bool = False) -> Any:
    """The value in dicts, lists, text and numbers only.

    Args:
        value: What to write. Tuples become lists, numpy scalars Python numbers.
        where: How an error names the value.
        finite: Refuse infinity and not-a-number.

    Returns:
        The same value built from JSON's types.

    Raises:
        TypeError: If something in it has no plain form, or a key is not text.
        ValueError: If ``finite`` and a number is not.

    Example:
        >>> plain({"alphas": (0, np.float64(0.5))})
        {'alphas': [0, 0.5]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if finite and not math.isfinite(value):
            raise ValueError(f"`{where}` must be finite, got {value}.")
        return float(value)
    if isinstance(value, Mapping):
        items = value.items()
        return {_key(key, where): plain(item, f"{where}[{key!r}]", finite=finite) for key, item in items}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", finite=finite) for index, item in enumerate(value)]
    raise TypeError(
        f"`{where}` must be made of dicts, lists, text, numbers, true, false and null, got {type(value).__name__}."
    )


def canonical(value: Any) -> str:
    """One JSON text per value: keys sorted, no spaces, floats in full."""
    return json.dumps(_tagged(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_json(value: Any) -> bytes:
    """Readable JSON of a plain value."""
    return (json.dumps(_tagged(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def from_json(content: bytes) -> Any:
    """The value that `to_json` wrote.

    Raises:
        ValueError: If it is no JSON, or nested without end.

    Example:
        >>> from_json(to_json({"loss": float("inf"), "rate": 0.1}))
        {'loss': inf, 'rate': 0.1}
    """
    try:
        value = json.loads(content, object_hook=_untagged)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _ in range(MOST_NESTED):
        parts = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [part for several in parts for part in several]
    if level:
        raise ValueError(_TOO_DEEP)
    return value


def to_yaml(value: Any) -> bytes:
    """Readable YAML of a plain value, keys in their own order."""
    text: str = yaml.safe_dump(value, sort_keys=False)
    return text.encode()


def from_yaml(content: bytes) -> Any:
    """The value that `to_yaml` wrote.

    Raises:
        ValueError: If it is no YAML, nested without end or made of aliases of aliases.
    """
    try:
        return yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, UnicodeError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def to_csv(frame: pd.DataFrame) -> bytes:
    """A frame as CSV without its index; narrow floats are widened first, which is exact."""
    narrow = frame.select_dtypes(["float16", "float32"]).columns
    wide = frame.astype(dict.fromkeys(narrow, "float64"))
    return str(wide.to_csv(index=False, na_rep="nan", lineterminator="\n")).encode()


def from_csv(content: bytes, table: str = "") -> pd.DataFrame:
    r"""The frame that `to_csv` wrote. What is text in the table stays text, the others are typed by content.

    Example:
        >>> from_csv(b"regime,loss\nsmall_batch,0.1\n")["loss"].tolist()
        [0.1]
    """
    frame: pd.DataFrame = pd.read_csv(
        io.BytesIO(content),
        dtype=dict.fromkeys(text_columns(table), str),
        **_EXACT,
        keep_default_na=False,
        na_values=["nan", ""],
    )
    return frame


def to_npz(arrays: Mapping[str, Any]) -> bytes:
    """Named numpy arrays as an NPZ archive; equal arrays give equal bytes.

    Raises:
        TypeError: If an array holds Python objects, which only unpickling could read back.
    """
    numeric = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in numeric.items():
        if array.dtype.hasobject:
            raise TypeError(f"array {name!r} must be numeric, got Python objects.")
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **numeric)
    return stream.getvalue()


def from_npz(content: bytes) -> dict[str, np.ndarray]:
    """The arrays that `to_npz` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"`{where}` must have text keys, got {key!r}.")
    return str.__str__(key)


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _untagged(value: dict[str, Any]) -> Any:
    return float(value["$float"]) if value.keys() == {"$float"} else value

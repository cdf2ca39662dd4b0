"""Read the CIFAR pickles without running them.

A pickle is a programme: it may name any function and have it called. The published batches are dicts of
numbers, strings and one uint8 array, for which Python names five functions and classes. Here each of these five
names gives an inert record of how it was called, every other name is refused, and the array is built from the
records afterwards. Nothing a file names is ever imported or called.

Nor can a short file take long or much memory: only the opcodes of plain data are known, no more of them than a batch
can have, and a key is text, for hashing nested tuples that share their parts never ends. The unpickler is the one in
Python, whose memo is a dict, where that in C makes room for the largest index that a file claims.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.core.fields import shown
from flatmin.data.files import File

_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_DTYPE = "numpy.dtype"
_ENCODE = "_codecs.encode"
_ALLOWED = {*_RECONSTRUCT, "numpy.ndarray", _DTYPE, _ENCODE}
_UINT8 = {"u1", b"u1"}
_Opcode = Callable[[Any], None]
_KNOWN: dict[int, _Opcode] = {**pickle._Unpickler.dispatch}
MOST_OPCODES = 2**20
_PLAIN_OPCODES = (
    "\x80\x95."  # protocol, frame, stop
    "(01NIJKMLFG\x88\x89\x8a"  # mark, pop, None, numbers
    "STUVXBC\x8c\x8d\x8e"  # text and bytes
    "]lae)tud}s\x85\x86\x87"  # lists, tuples, dicts
    "pqrghj\x94"  # memo
    "c\x93Rb"  # names, calls and states: see _Inert
)


class _Refusal(Exception):
    """What a pickle asks for and may not have."""


class _Inert:
    """Stands in for a permitted name; being called or given a state only makes a note of it."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments, self.state = name, arguments, None

    def __call__(self, *arguments: Any) -> "_Inert":
        return _Inert(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Opcodes(dict[int, _Opcode]):
    """The opcodes of plain data by number, handed out so many times and no more."""

    def __init__(self) -> None:
        known = {ord(code): _KNOWN[ord(code)] for code in _PLAIN_OPCODES}
        super().__init__(known | {code: _with_plain_keys(known[code]) for code in map(ord, "sud")})
        self.left = MOST_OPCODES

    def __getitem__(self, code: int) -> _Opcode:
        self.left -= 1
        if self.left < 0:
            raise _Refusal(f"it has more than {MOST_OPCODES:,} opcodes")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"opcode {code:#04x} is none of plain data")


def _with_plain_keys(sets: _Opcode) -> _Opcode:
    """What sets items of a dict, once their keys are known to be hashed at once."""

    def checked(reader: Any) -> None:
        items = reader.stack[-2:] if sets is _KNOWN[ord("s")] else reader.stack
        for key in items[::2]:
            if not isinstance(key, str | bytes | int | _Inert):
                raise _Refusal(f"it has a {type(key).__name__} as a key")
        sets(reader)

    return checked


class _Reader(pickle._Unpickler):
    stack: list[Any]

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.dispatch = _Opcodes()  # type: ignore[misc]

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        name = f"{module_name}.{global_name}"
        if name not in _ALLOWED:
            raise _Refusal(f"it asks for `{name}`")
        return _Inert(name)


def _plain(value: Any) -> Any:
    """Undo the two detours of plain data: arrays, and bytes that Python 3 spells ``encode(text, "latin1")``."""
    if not isinstance(value, _Inert):
        return value
    return value.arguments[0].encode("latin-1") if value.name == _ENCODE else _array(value)


def _text(key: Any) -> str:
    return str(_plain(key), "ascii") if not isinstance(key, str) else key


def _array(record: _Inert) -> npt.NDArray[np.uint8]:
    """Build the array that numpy would build, if it is one of unsigned bytes.

    Raises:
        _Refusal: If it is no array, or one of another type.
    """
    if record.name not in _RECONSTRUCT or record.state is None:
        raise _Refusal(f"it holds a bare `{record.name}`")
    _, shape, dtype, fortran, content = record.state
    kind = dtype.arguments[0] if isinstance(dtype, _Inert) and dtype.name == _DTYPE and dtype.arguments else None
    if not isinstance(kind, str | bytes) or kind not in _UINT8:
        told = shown(kind) if isinstance(kind, str | bytes) else "unknown"
        raise _Refusal(f"it holds an array of type {told}, not of unsigned bytes")
    return np.frombuffer(_plain(content), np.uint8).reshape(shape, order="F" if fortran else "C")


def read_record(file: File) -> dict[str, Any]:
    """Read a pickled dict of plain values and uint8 arrays.

    Args:
        file: The pickle, of Python 2 or 3.

    Returns:
        The dict, its keys as text, Python 2 strings among the values as bytes, arrays read-only.

    Raises:
        DataError: If the pickle asks for anything else, is damaged or holds no dict.
    """
    try:
        loaded = _Reader(file.content).load()
        return {_text(key): _plain(value) for key, value in loaded.items()}
    except _Refusal as refusal:
        raise DataError(
            f"{file.path} is refused: {str(refusal)[:200]}, which no published batch does. Do not open it otherwise; "
            "delete it and fetch the published one."
        ) from refusal
    except Exception as error:
        raise DataError(
            f"{file.path} is cut short or no CIFAR batch ({type(error).__name__}: {str(error)[:100]}). "
            "Delete it and fetch it again."
        ) from error

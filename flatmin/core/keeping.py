"""Values in one file without pickle: an npz archive of arrays, with a JSON header that says what they are.

``numpy.load`` reads such a file too. A tensor is an array of its own, named after the value it belongs to; what NumPy
has no type for (bfloat16) is kept as its bits. All else is in the header, where NaN and infinities are spelled out.

Reading takes no more memory than the file has bytes: nothing in it may be compressed, and an array is as long as its
header says or the file is refused.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

HEADER = "flatmin"
FORMAT = 1
NUMBERS = "?bBhHiIlLqQefdFD"
BITS = {torch.bfloat16: torch.int16}
BY_NAME = {str(dtype): dtype for dtype in BITS}

Arrays = dict[str, NDArray[Any]]


def packed(about: Mapping[str, Any], values: Mapping[str, Any]) -> bytes:
    """The file that holds values by name, with what it says about them.

    Args:
        about: Strings and numbers for the header.
        values: Numbers, strings, ``None``, tensors and tuples of these.

    Raises:
        TypeError: If a value is of another kind.
    """
    arrays: Arrays = {}
    header = {"format": FORMAT, **about, "values": {key: _told(key, value, arrays) for key, value in values.items()}}
    stream = io.BytesIO()
    np.savez(stream, **{HEADER: np.array(json.dumps(header, allow_nan=False))}, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `packed` was given: what the file says about its values, and these.

    Raises:
        ValueError: If the file is no such archive, is damaged or claims what it does not hold. Other exceptions of its
            parsers come through.
    """
    arrays = _arrays(content)
    if HEADER not in arrays:
        raise ValueError("it has no header")
    header = json.loads(str(arrays[HEADER]))
    if not isinstance(header, dict) or not isinstance(header.get("values"), dict):
        raise ValueError("its header says nothing")
    if header.get("format") != FORMAT:
        raise ValueError(f"it has format {header.get('format')!s:.20}, this version reads {FORMAT}")
    values = {name: _meant(value, arrays) for name, value in header.pop("values").items()}
    return header, values


def _told(name: str, value: Any, arrays: Arrays) -> Any:
    """How the header tells a value; a tensor goes to the arrays.

    Raises:
        TypeError: If there is no way to.
    """
    if isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        bits = BITS.get(tensor.dtype)
        arrays[name] = (tensor if bits is None else tensor.view(bits)).numpy()
        return {"array": name} if bits is None else {"array": name, "bits_of": str(tensor.dtype)}
    if isinstance(value, tuple):
        return [_told(f"{name}.{place}", item, arrays) for place, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"`{name}` cannot be saved: it is a {type(value).__name__}.")


def _meant(told: Any, arrays: Arrays) -> Any:
    if isinstance(told, list):
        return tuple(_meant(item, arrays) for item in told)
    if not isinstance(told, dict):
        return told
    if "array" not in told:
        return float(told["float"])
    tensor = torch.from_numpy(arrays[told["array"]].copy())
    return tensor.view(BY_NAME[told["bits_of"]]) if "bits_of" in told else tensor


def _arrays(content: bytes) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("it claims more than it holds")
        return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}


def _array(content: bytes) -> NDArray[Any]:
    """The array in a file of NumPy's format 1, read only after its header was held against its length.

    Raises:
        ValueError: If it is none.
    """
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("an array is of an unknown format")
    shape, by_column, dtype = npy.read_array_header_1_0(stream)
    rest = content[stream.tell() :]
    if not (dtype.char in NUMBERS or dtype.kind == "U") or math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError("an array is not what it claims to be")
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if by_column else "C")

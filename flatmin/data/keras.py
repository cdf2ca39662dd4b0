"""The archive ``mnist.npz`` that Keras keeps, as the four IDX files it was made from: their md5s are published."""

import io
import math
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from flatmin.core.archives import LIMIT, TooLong, read_whole
from flatmin.core.errors import DataError

_ARRAYS = {
    "train-images-idx3-ubyte": ("x_train", 3),
    "train-labels-idx1-ubyte": ("y_train", 1),
    "t10k-images-idx3-ubyte": ("x_test", 3),
    "t10k-labels-idx1-ubyte": ("y_test", 1),
}


def idx_members(path: Path, wanted: Collection[str], limit: int = LIMIT) -> dict[str, bytes]:
    """The arrays of the archive as IDX files.

    Args:
        path: The archive.
        wanted: Names of IDX files of MNIST.
        limit: Bytes that the archive may have, packed or not.

    Returns:
        The files by name.

    Raises:
        DataError: If the archive is damaged or lacks an array of unsigned bytes.
        TooLong: If it announces more.
    """
    content = read_whole(path, limit)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.getinfo(f"{_ARRAYS[name][0]}.npy") for name in wanted}
            if sum(member.file_size for member in members.values()) > limit:
                raise TooLong(str(path), limit)
            return {name: _idx(archive.read(member), _ARRAYS[name][1]) for name, member in members.items()}
    except TooLong:
        raise
    except Exception as error:
        raise DataError(
            f"{path} is not the archive of MNIST that Keras keeps ({type(error).__name__}: {str(error)[:100]}). "
            "Delete it and let Keras fetch it again."
        ) from error


def _idx(content: bytes, num_axes: int) -> bytes:
    """The array in a file of NumPy as an IDX file.

    Raises:
        ValueError: If it is none of unsigned bytes, of so many axes.
    """
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("an array is of an unknown format")
    shape, by_column, dtype = npy.read_array_header_1_0(stream)
    rest = content[stream.tell() :]
    if dtype != np.uint8 or len(shape) != num_axes or math.prod(shape) != len(rest) or (by_column and num_axes > 1):
        raise ValueError(f"an array is not one of unsigned bytes and {num_axes} axes")
    return struct.pack(f">{1 + num_axes}I", 0x0800 + num_axes, *shape) + rest

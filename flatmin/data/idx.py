"""IDX files, gzipped or not: the format of MNIST and of the sets made after it. LeCun, Cortes and Burges (1998)."""

import math
import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.data.files import File
from flatmin.data.publication import Examples, class_numbers

SHAPE = (1, 28, 28)
_NUM_CLASSES = 10
_AGAIN = "Delete it and fetch the set again with `flatmin data fetch`."


def read_idx(file: File, num_axes: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    The header is two zero bytes, the element type (8: unsigned byte), the number of axes, then the length of
    each axis as a big-endian 32-bit integer.

    Args:
        file: The file, gzipped if its name ends in ``.gz``.
        num_axes: Expected number of axes.

    Returns:
        The array, read-only.

    Raises:
        DataError: If the file is cut short, has another magic number or another length than its header says.
    """
    content = file.unpacked
    start = 4 + 4 * num_axes
    expected = 0x0800 + num_axes
    magic = int.from_bytes(content[:4], "big")
    if magic != expected:
        raise DataError(
            f"{file.path} is no IDX file of {num_axes} axes: expected magic number {expected:#010x}, "
            f"got {magic:#010x}. {_AGAIN}"
        )
    if len(content) < start:
        raise DataError(f"{file.path} is cut short: its header has {start} bytes, the file {len(content)}. {_AGAIN}")
    shape = struct.unpack_from(f">{num_axes}I", content, 4)
    if 0 in shape:
        raise DataError(f"{file.path}: its header announces an empty array of shape {shape}. {_AGAIN}")
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{file.path}: its header announces {math.prod(shape)} bytes of shape {shape}, "
            f"got {len(content) - start}. {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _split(files: Mapping[str, File], prefix: str) -> Examples:
    by_stem = {name.removesuffix(".gz"): file for name, file in files.items()}
    images_file, labels_file = by_stem[f"{prefix}-images-idx3-ubyte"], by_stem[f"{prefix}-labels-idx1-ubyte"]
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1).tolist()
    if images.shape[1:] != SHAPE[1:]:
        raise DataError(f"{images_file.path}: expected images of 28 x 28 pixels, got {images.shape[1:]}.")
    targets = class_numbers(labels_file.path, labels, len(images), _NUM_CLASSES)
    return images.reshape(-1, *SHAPE), targets


def decode(files: Mapping[str, File]) -> tuple[Examples, Examples]:
    """Train and test examples from four files with the names and sizes of MNIST's."""
    return _split(files, "train"), _split(files, "t10k")

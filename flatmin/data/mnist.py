"""MNIST: four IDX files, gzipped or not. LeCun, Cortes and Burges (1998)."""

import gzip
import math
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.data.files import File, Layout
from flatmin.data.publication import Download, Examples, Publication, class_numbers

_PACKED = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_SHAPE = (1, 28, 28)
_NUM_CLASSES = 10


def _unpacked(file: File) -> bytes:
    if not file.path.endswith(".gz"):
        return file.content
    try:
        return gzip.decompress(file.content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{file.path} is cut short or damaged ({error}; {len(file.content)} bytes). "
            "Delete it and run `flatmin data fetch mnist`."
        ) from error


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
    content = _unpacked(file)
    start = 4 + 4 * num_axes
    expected = 0x0800 + num_axes
    magic = int.from_bytes(content[:4], "big")
    if magic != expected or len(content) < start:
        raise DataError(
            f"{file.path} is no IDX file of {num_axes} axes: expected magic number {expected:#010x}, "
            f"got {magic:#010x}. Delete it and run `flatmin data fetch mnist`."
        )
    shape = struct.unpack_from(f">{num_axes}I", content, 4)
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{file.path}: its header announces {math.prod(shape)} bytes of shape {shape}, "
            f"got {len(content) - start}. Delete it and run `flatmin data fetch mnist`."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _split(files: Mapping[str, File], prefix: str) -> Examples:
    by_stem = {name.removesuffix(".gz"): file for name, file in files.items()}
    images_file, labels_file = by_stem[f"{prefix}-images-idx3-ubyte"], by_stem[f"{prefix}-labels-idx1-ubyte"]
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1).tolist()
    if images.shape[1:] != _SHAPE[1:]:
        raise DataError(f"{images_file.path}: expected images of 28 x 28 pixels, got {images.shape[1:]}.")
    targets = class_numbers(labels_file.path, labels, len(images), _NUM_CLASSES)
    return images.reshape(-1, *_SHAPE), targets


def decode(files: Mapping[str, File]) -> tuple[Examples, Examples]:
    """Train and test examples from the four files."""
    return _split(files, "train"), _split(files, "t10k")


MNIST = Publication(
    name="mnist",
    source="http://yann.lecun.com/exdb/mnist/",
    num_classes=_NUM_CLASSES,
    input_shape=_SHAPE,
    num_train=60_000,
    num_test=10_000,
    decode=decode,
    layouts=tuple(Layout(folder, md5) for folder in ("MNIST/raw", "mnist") for md5 in (_PACKED, _UNPACKED)),
    downloads=tuple(
        Download(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}", f"MNIST/raw/{name}", md5)
        for name, md5 in _PACKED.items()
    ),
)

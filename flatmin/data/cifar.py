"""CIFAR-10 and CIFAR-100: the publisher's Python batches, and the binary ones of CIFAR-10. Krizhevsky (2009)."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from flatmin.core.errors import DataError
from flatmin.core.fields import shown
from flatmin.data.files import File, Layout
from flatmin.data.publication import Download, Examples, Publication, class_numbers
from flatmin.data.unpickle import read_record

_SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_SHAPE = (3, 32, 32)
_NUM_PIXELS = 3 * 32 * 32
BINARY = ".bin"


def _batch(file: File, labels_key: str, num_classes: int) -> Examples:
    return (_binary if file.path.endswith(BINARY) else partial(_pickled, labels_key=labels_key))(file, num_classes)


def _binary(file: File, num_classes: int) -> Examples:
    """Each image is the byte of its class and then its pixels.

    Raises:
        DataError: If the file has another length than so many images.
    """
    content = np.frombuffer(file.content, np.uint8)
    if len(content) % (1 + _NUM_PIXELS):
        raise DataError(f"{file.path}: expected images of {1 + _NUM_PIXELS} bytes, got {len(content)} bytes in all.")
    rows = content.reshape(-1, 1 + _NUM_PIXELS)
    targets = class_numbers(file.path, rows[:, 0].tolist(), len(rows), num_classes)
    return rows[:, 1:].reshape(-1, *_SHAPE), targets


def _pickled(file: File, num_classes: int, labels_key: str) -> Examples:
    record = read_record(file)
    for key in ("data", labels_key):
        if key not in record:
            raise DataError(f"{file.path}: expected an entry {key!r}, got {shown(sorted(record))}.")
    images = record["data"]
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != _NUM_PIXELS:
        got = images.shape if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"{file.path}: expected images of shape (N, {_NUM_PIXELS}), got {got}.")
    labels = record[labels_key]
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{file.path}: expected {labels_key!r} to be a list of whole numbers.")
    return images.reshape(-1, *_SHAPE), class_numbers(file.path, labels, len(images), num_classes)


def decode(
    files: Mapping[str, File], *, test_name: str, labels_key: str, num_classes: int
) -> tuple[Examples, Examples]:
    """Train and test examples from the batches.

    Args:
        files: The batches by name, ``.bin`` for binary ones; all but the test batch are for training, in order.
        test_name: Name of the test batch.
        labels_key: Entry of a batch that holds its labels.
        num_classes: Number of classes.

    Returns:
        Train and test examples.

    Raises:
        DataError: If a batch is not what its publisher distributes.
    """
    batches = {name.removesuffix(BINARY): _batch(file, labels_key, num_classes) for name, file in files.items()}
    test = batches.pop(test_name)
    images, targets = zip(*batches.values(), strict=True)
    return (np.concatenate(images), np.concatenate(targets)), test


def cifar_publication(
    *,
    name: str,
    words: str,
    num_classes: int,
    folder: str,
    archive: tuple[str, str],
    md5: Mapping[str, str],
    test: str,
    key: str,
    binary: tuple[Layout, ...] = (),
) -> Publication:
    """What the publisher distributes of one of the two sets.

    Args:
        name: Name in the catalogue.
        words: Its name in a text.
        num_classes: Number of classes.
        folder: Folder that holds the batches, loose or inside the archive.
        archive: File name and md5 of the archive.
        md5: Published md5 of each batch, by file name.
        test: Name of the test batch.
        key: Entry of a batch that holds its labels.
        binary: How its binary version lies, if that is known.

    Returns:
        The set.
    """
    file, archive_md5 = archive
    return Publication(
        name=name,
        words=words,
        source=_SOURCE,
        num_classes=num_classes,
        input_shape=_SHAPE,
        num_train=50_000,
        num_test=10_000,
        decode=partial(decode, test_name=test, labels_key=key, num_classes=num_classes),
        layouts=(Layout(folder, md5), Layout(folder, md5, file), *binary),
        downloads=(Download(f"https://www.cs.toronto.edu/~kriz/{file}", file, archive_md5),),
    )

"""CIFAR-10 and CIFAR-100: the publisher's Python batches. Krizhevsky (2009)."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from flatmin.core.errors import DataError
from flatmin.data.files import File, Layout
from flatmin.data.publication import Download, Examples, Publication, class_numbers
from flatmin.data.unpickle import read_record

_SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_SHAPE = (3, 32, 32)
_NUM_PIXELS = 3 * 32 * 32
_MD5_10 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_MD5_100 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


def _batch(file: File, labels_key: str, num_classes: int) -> Examples:
    record = read_record(file)
    for key in ("data", labels_key):
        if key not in record:
            raise DataError(f"{file.path}: expected an entry {key!r}, got {sorted(record)}.")
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
        files: The batches by name; all but the test batch are training batches, in order.
        test_name: Name of the test batch.
        labels_key: Entry of a batch that holds its labels.
        num_classes: Number of classes.

    Returns:
        Train and test examples.

    Raises:
        DataError: If a batch is not what its publisher distributes.
    """
    batches = {name: _batch(file, labels_key, num_classes) for name, file in files.items()}
    test = batches.pop(test_name)
    images, targets = zip(*batches.values(), strict=True)
    return (np.concatenate(images), np.concatenate(targets)), test


def _publication(
    name: str, num_classes: int, folder: str, archive: Download, md5: Mapping[str, str], *, test: str, key: str
) -> Publication:
    return Publication(
        name=name,
        source=_SOURCE,
        num_classes=num_classes,
        input_shape=_SHAPE,
        num_train=50_000,
        num_test=10_000,
        decode=partial(decode, test_name=test, labels_key=key, num_classes=num_classes),
        layouts=(Layout(folder, md5), Layout(folder, md5, archive.path)),
        downloads=(archive,),
    )


def _archive(name: str, md5: str) -> Download:
    return Download(f"https://www.cs.toronto.edu/~kriz/{name}", name, md5)


CIFAR10 = _publication(
    "cifar10",
    10,
    "cifar-10-batches-py",
    _archive("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    _MD5_10,
    test="test_batch",
    key="labels",
)
CIFAR100 = _publication(
    "cifar100",
    100,
    "cifar-100-python",
    _archive("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    _MD5_100,
    test="test",
    key="fine_labels",
)

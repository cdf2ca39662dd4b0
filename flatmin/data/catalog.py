"""The data sets by name, and how to load one."""

import logging
from pathlib import Path

import numpy as np
import torch

from flatmin.core.errors import DataError
from flatmin.data import timit
from flatmin.data.dataset import Dataset, Split
from flatmin.data.files import Copy, require_published, search_roots
from flatmin.data.places import existing
from flatmin.data.publication import Examples, Publication
from flatmin.data.sets import names, publications

CATALOG = publications()
NAMES = names()

_log = logging.getLogger(__name__)


def published(name: str) -> Publication:
    """The catalogue entry of a data set.

    Args:
        name: One of ``NAMES``, but ``timit``, which nobody may distribute.

    Returns:
        What its publisher distributes.

    Raises:
        DataError: If there is no such set, or it cannot be downloaded.
    """
    if name == timit.NAME:
        raise DataError(timit.WAY_OUT)
    if name not in CATALOG:
        raise DataError(f"There is no data set {name!r}; the known ones are {', '.join(NAMES)}.")
    return CATALOG[name]


def fetch(name: str, *, root: str | Path | None = None) -> Copy:
    """Download a data set into the first folder that :func:`load` searches, unless it lies there whole.

    Args:
        name: Name in the catalogue.
        root: Folder to fill; see :func:`load`.

    Returns:
        The set as it lies there now.

    Raises:
        DataError: If there is no such set or the download fails.
    """
    entry, target = published(name), search_roots(root)[:1]
    copy = entry.find(target)
    if copy is None:
        if not target[0].is_dir():
            _log.warning("%s is made, to download %s into it.", target[0], name)
        for download in entry.downloads:
            download.fetch(target[0])
        copy = entry.find(target)
    if copy is None:
        raise DataError(f"{entry.absence(target)} The download did not bring it.")
    return copy


def find(name: str, *, root: str | Path | None = None, download: bool = False) -> Copy:
    """Find the files of a data set and read them as they lie.

    Args:
        name: Name in the catalogue.
        root: Folder searched first; see :func:`load`.
        download: Fetch a set that is nowhere.

    Returns:
        The set as it lies, its md5s not yet compared.

    Raises:
        DataError: If the set is unknown, absent or unreadable.
    """
    entry, roots = published(name), search_roots(root)
    copy = entry.find(roots)
    if copy is not None:
        return copy
    if not download:
        raise DataError(
            f"{entry.absence(roots)} Run `flatmin data fetch {name}`, or name the folder that has it with "
            "`--data` or $FLATMIN_DATA."
        )
    try:
        return fetch(name, root=root)
    except DataError as error:
        raise DataError(f"{entry.absence(roots)} {error}") from error


def load(
    name: str,
    *,
    root: str | Path | None = None,
    verify: bool = True,
    download: bool = True,
    split: str = "frames",
) -> Dataset:
    """Load a data set as whole tensors: pixels divided by their largest value, nothing else; TIMIT as prepared.

    Keskar et al. (2017) normalise images by no mean or deviation, augment nothing and hold out no validation split.

    Args:
        name: One of ``NAMES``.
        root: Folder searched first; then come $FLATMIN_DATA and the user's cache folder.
        verify: Refuse files whose md5 is not the published one. Without it they are used as they are, and
            ``provenance["verified"]`` says whether they are the published ones.
        download: Fetch a set that is in none of these folders, into the first of them.
        split: How ``timit`` is divided, by ``"frames"`` as in the paper or by ``"speakers"``; the other sets have
            the split of their publisher.

    Returns:
        The data set.

    Raises:
        DataError: If the set is unknown, absent, damaged or not the published one, or has no such split, or ``root``
            is no folder.

    Example:
        >>> digits = load("digits")
        >>> len(digits.train), len(digits.test), digits.input_shape
        (1437, 360, (1, 8, 8))
    """
    root = existing(root, "`root`")
    if name == timit.NAME:
        return timit.load(search_roots(root), split=split, verify=verify)
    if split != "frames":
        raise DataError(f"`split` is a choice for timit alone; {name} has its publisher's split, got {split!r}.")
    entry, copy = published(name), find(name, root=root, download=download)
    if verify:
        require_published(name, copy)
    train, test = entry.decode(copy.files)
    provenance = {"source": entry.source, **copy.record()}
    return Dataset(
        name=name,
        train=_split(train, entry.white),
        test=_split(test, entry.white),
        num_classes=entry.num_classes,
        input_shape=entry.input_shape,
        provenance=provenance,
    )


def _split(examples: Examples, white: int) -> Split:
    pixels, labels = examples
    inputs = np.divide(pixels, white, dtype=np.float32)
    return Split(torch.from_numpy(inputs), torch.from_numpy(labels))

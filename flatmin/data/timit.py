"""TIMIT frames, the data of F2: prepared once from the user's own copy of the corpus, then read like any other set.

TIMIT (Garofolo et al. 1993, LDC93S1) is licensed, so nothing is downloaded. ``flatmin data timit`` prepares a copy
into ``timit/``, or ``timit_sample/`` if it is the sample of 160 utterances that is freely distributed for
non-commercial use, under the first folder searched for data. Each split is one file of frames with an account
beside it, which is written last and holds the md5 of the frames.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from flatmin.core.atomic import replace_files
from flatmin.core.errors import DataError
from flatmin.data.dataset import Dataset, Split
from flatmin.data.files import Copy, File
from flatmin.data.sets import TIMIT
from flatmin.speech.frames import Frames
from flatmin.speech.splits import SPLITS, require_split

NAME = TIMIT
SOURCE = "https://catalog.ldc.upenn.edu/LDC93S1"
FOLDERS = ("timit", "timit_sample")
UNPACKED_SAMPLE = Path("timit-sample") / "timit"
PAPER = {"training_frames": 721_329, "test_frames": 310_621, "states": 1_973}
"""The frames and states of Keskar et al. (2017)."""

WAY_OUT = (
    "TIMIT is licensed and cannot be downloaded. Prepare your copy with `flatmin data timit --corpus PATH`; "
    "a sample of 160 utterances, for non-commercial use, is the corpus `timit` of NLTK's data."
)


class Prepared(NamedTuple):
    """The file of a prepared split, and the account of how it came about."""

    copy: Copy
    account: dict[str, Any]


def write(frames: Frames, root: Path) -> Path:
    """Write prepared frames, in a way that a killed process or a full disk leaves nothing that passes for them.

    Args:
        frames: The frames of one split.
        root: Folder of all data sets.

    Returns:
        The file written.

    Raises:
        DataError: If it cannot be written.
    """
    content, split = frames.packed(), frames.account["split"]
    path = root / frames.name / f"{split}.npz"
    account = frames.account | {"frames_md5": _md5(content)}
    try:
        replace_files(path.parent, {path.name: content, f"{split}.json": json.dumps(account, indent=2).encode()})
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def prepared_splits(roots: Iterable[Path]) -> tuple[Path, list[str]] | None:
    """The folder with the prepared corpus, else the one with the prepared sample, and the splits that it holds.

    Args:
        roots: Folders to search.

    Returns:
        The first that holds any, or ``None``.
    """
    for name, root in product(FOLDERS, list(roots)):
        splits = [split for split in SPLITS if (root / name / f"{split}.json").is_file()]
        if splits:
            return root / name, splits
    return None


def find(roots: Iterable[Path], split: str) -> Prepared | None:
    """The prepared corpus, else the prepared sample; ``None`` if neither is anywhere.

    Args:
        roots: Folders to search.
        split: ``"frames"`` or ``"speakers"``.

    Returns:
        The split with its account, the md5s not yet compared.

    Raises:
        DataError: If the set is prepared, but damaged or for the other split only.
    """
    found = prepared_splits(roots)
    if found is None:
        return None
    folder, splits = found
    if split not in splits:
        raise DataError(
            f"{folder} holds the split by {splits[0]} alone. Run `flatmin data timit --corpus PATH --split {split}` "
            f"for the one by {split}."
        )
    return _prepared(folder, split)


def _prepared(folder: Path, split: str) -> Prepared:
    path = folder / f"{split}.npz"
    try:
        account = json.loads(path.with_suffix(".json").read_bytes())
        file = File(str(path), path.read_bytes(), account["frames_md5"])
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}. {_AGAIN}") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{path.with_suffix('.json')} is no account of prepared frames. {_AGAIN}") from error
    return Prepared(Copy(str(folder), {path.name: file}), account)


_AGAIN = "Prepare the set again with `flatmin data timit`."


def unpacked_sample(roots: Iterable[Path]) -> Path | None:
    """The folder of the sample as it is distributed, if one of the roots has it."""
    return next((root / UNPACKED_SAMPLE for root in roots if (root / UNPACKED_SAMPLE).is_dir()), None)


def load(roots: Iterable[Path], *, split: str, verify: bool) -> Dataset:
    """Load TIMIT: the prepared corpus, else the prepared sample, else the unpacked sample, prepared in memory.

    Args:
        roots: Folders to search.
        split: ``"frames"`` or ``"speakers"``; see :func:`flatmin.speech.splits.split_frames`.
        verify: Refuse frames whose md5 is not the one in their account.

    Returns:
        The data set; its inputs are normalised features, not in [0, 1].

    Raises:
        DataError: If the set is nowhere, damaged, or prepared for the other split only.
    """
    require_split(split)
    roots = list(roots)
    prepared = find(roots, split) or _from_sample(roots, split)
    (file,) = prepared.copy.files.values()
    if verify and not file.verified:
        raise DataError(
            f"{file.path}: md5 {file.md5} differs from {file.published_md5} in its account: damaged, cut short or "
            f"changed. {_AGAIN} Or set `verify: false` (`--no-verify`) to use it as it is."
        )
    try:
        frames = Frames.unpacked(file.content, prepared.account)
    except Exception as error:
        raise DataError(f"{file.path} is no archive of prepared frames ({error}). {_AGAIN}") from error
    return Dataset(
        name=frames.name,
        train=_split(frames, "train"),
        test=_split(frames, "test"),
        num_classes=frames.num_classes,
        input_shape=(frames.num_inputs,),
        provenance={"source": SOURCE, **prepared.copy.record(), NAME: prepared.account},
    )


def _from_sample(roots: list[Path], split: str) -> Prepared:
    folder = unpacked_sample(roots)
    if folder is None:
        searched = ", ".join([*(f"{name}/" for name in FOLDERS), f"{UNPACKED_SAMPLE}/"])
        raise DataError(f"timit was not found: searched for {searched} under {', '.join(map(str, roots))}. {WAY_OUT}")
    from flatmin.speech.preparation import from_corpus

    frames = from_corpus(folder, split=split)
    content = frames.packed()
    file = File(f"{folder} ({split})", content, _md5(content))
    return Prepared(Copy(str(folder), {f"{split}.npz": file}), frames.account | {"frames_md5": file.md5})


def _split(frames: Frames, side: str) -> Split:
    inputs, targets = frames.examples(getattr(frames, side))
    return Split(torch.from_numpy(inputs), torch.from_numpy(targets))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

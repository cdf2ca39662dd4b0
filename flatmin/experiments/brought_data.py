"""The examples that someone brings to a network of theirs: a named data set, or what a function of theirs returns."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from flatmin.core.errors import ConfigError
from flatmin.core.first_examples import count, first_examples
from flatmin.core.sources import said, source
from flatmin.data import NAMES, Split, load
from flatmin.data.batches import fixed_batches
from flatmin.experiments.own import split_of

OPTION = "--data"
BATCH_SIZE = 1000
PARTS = {"train": 0, "test": 1}


@dataclass(frozen=True, eq=False, kw_only=True)
class BroughtData:
    """Batches in fixed order.

    Attributes:
        name: What they are called.
        batches: Pairs of inputs and targets.
        examples: How many they hold.
        available: How many there are.
        input_shape: Of one input; empty where it is no tensor.
        num_classes: Classes, as far as they are known; 0 for real targets.
    """

    name: str
    batches: list[Any]
    examples: int
    available: int
    input_shape: tuple[int, ...]
    num_classes: int


def brought_data(
    text: str, *, part: str, examples: int | None, batch_size: int | None, root: Path | None, folder: Path
) -> BroughtData:
    """The examples that an option names.

    Args:
        text: The name of a data set, or ``module:function`` or ``file.py:function``. The function returns batches of
            ``(inputs, targets)``, one pair of arrays, a data set of examples, or, as in an experiment file, a tuple of
            train and test.
        part: ``"train"`` or ``"test"``, of what has both.
        examples: The first so many; ``None`` takes all.
        batch_size: Of what is not in batches yet.
        root: Folder searched first for a named data set.
        folder: Where files are looked for.

    Raises:
        ConfigError: If there is no such data set or function, or it returns something else.
        DataError: If a named set is absent or damaged.
    """
    classes = None
    if ":" not in text:
        if text not in NAMES:
            known = ", ".join(NAMES)
            raise ConfigError(f"{OPTION} must be module:function, file.py:function or one of {known}, got {text!r}.")
        dataset = load(text, root=root)
        whole: Split | list[Any] = dataset.train if part == "train" else dataset.test
        classes = dataset.num_classes
    else:
        whole = _returned(text, part, folder)
    if isinstance(whole, list) and batch_size is not None:
        raise ConfigError(f"--batch-size must be left out: {OPTION} {text} comes in batches already.")
    if isinstance(whole, Split):
        batches: list[Any] = [*fixed_batches(whole.inputs, whole.targets, batch_size or BATCH_SIZE)]
    else:
        batches = whole
    available = sum(map(count, batches))
    if examples is not None:
        batches = [*first_examples(batches, examples)]
    inputs = batches[0][0]
    return BroughtData(
        name=f"{text} ({part})" if ":" not in text else text,
        batches=batches,
        examples=sum(map(count, batches)),
        available=available,
        input_shape=tuple(inputs.shape[1:]) if isinstance(inputs, Tensor) else (),
        num_classes=_classes(batches) if classes is None else classes,
    )


def _classes(batches: list[Any]) -> int:
    targets = [target for _, target in batches]
    if not all(isinstance(target, Tensor) and not target.is_floating_point() for target in targets):
        return 0
    return max(int(target.max()) for target in targets) + 1


def _returned(text: str, part: str, folder: Path) -> Split | list[Any]:
    """What the user's function returns: a split, or batches.

    Raises:
        ConfigError: If it returns something else.
    """
    found = source(OPTION, text, folder)()
    if isinstance(found, tuple) and len(found) == 2 and not _arrays(found):
        found = found[PARTS[part]]
    elif part != "train":
        raise ConfigError(f"--on {part} must be left out: {text} does not return a tuple of train and test.")
    if _arrays(found) or isinstance(found, Dataset):
        return split_of(OPTION, found)
    if not isinstance(found, Iterable):
        raise ConfigError(f"{OPTION}: {text} must return batches of (inputs, targets), got {type(found).__name__}.")
    try:
        batches = [*_pairs(text, found)]
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{OPTION}: walking through {text} raised {said(error)}") from error
    if not batches:
        raise ConfigError(f"{OPTION}: {text} must return at least one batch, got none.")
    return batches


def _arrays(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(part, Tensor | np.ndarray) for part in value)
    )


def _pairs(text: str, found: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for batch in found:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            got = f"{len(batch)} things" if isinstance(batch, tuple | list) else type(batch).__name__
            raise ConfigError(f"{OPTION}: {text} must return batches of (inputs, targets), got {got} in one.")
        inputs, targets = (torch.as_tensor(part) if isinstance(part, np.ndarray) else part for part in batch)
        yield inputs, targets

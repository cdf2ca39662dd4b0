"""The first examples of whatever a Trainer is fed with, without a trace in the loader."""

import copy
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from flatmin.core.checks import reiterable
from flatmin.core.first_examples import first_examples

GIVE = "pass batches=[(inputs, targets), ...] to SharpnessCallback"


def first_batches(trainer: pl.Trainer, examples: int) -> list[Any]:
    """Batches of the Trainer's train loader with together ``examples`` examples, or all where there are fewer.

    Of a data set by index these are the first in its own order, whatever the loader shuffles; of any other loader those
    that it gives first. The loader itself is not walked through: training is about to do that.

    Raises:
        TypeError: If the Trainer has several loaders, or one that can be walked through only once.
    """
    loader: Any = trainer.train_dataloader
    if loader is None or isinstance(loader, list | tuple | Mapping):
        got = "none" if loader is None else f"a {type(loader).__name__} of loaders"
        raise TypeError(f"the Trainer must have one train loader to take examples from, got {got}; {GIVE}.")
    try:
        reiterable("loader", loader)
    except TypeError:
        raise TypeError(
            f"the train loader must be re-iterable to take examples from, got {type(loader).__name__}; {GIVE}."
        ) from None
    if isinstance(loader, DataLoader):
        size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
        size = examples if size is None and loader.batch_sampler is not None else size
        return [*first_examples(DataLoader(loader.dataset, batch_size=size, collate_fn=loader.collate_fn), examples)]
    return [*first_examples(copy.copy(loader), examples)]

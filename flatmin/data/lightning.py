"""The data sets by name, for a Trainer of your own."""

from pathlib import Path

import pytorch_lightning as pl
import torch

from flatmin.core.checks import whole
from flatmin.data.batches import FixedBatches, ShuffledBatches, resolved_size
from flatmin.data.catalog import load
from flatmin.data.dataset import Dataset, Split
from flatmin.data.places import existing


class LightningData(pl.LightningDataModule):
    """A named data set that shuffles anew each epoch, whatever Trainer takes it.

    The order of an epoch depends on the seed and the number of the epoch alone: a resumed run goes on in the order it
    would have had, and neither the loader nor the reshuffling draws from a global generator. Pixels lie in [0, 1].

    Args:
        name: One of ``flatmin.data.NAMES``.
        batch_size: Examples a step, or a percentage of the training examples such as ``"10%"``.
        validation: So many training examples are held out, drawn by the seed. Keskar et al. (2017) hold out none and
            show the test examples after every epoch; so does 0.
        evaluation_batch_size: Examples a batch in validation, test and prediction.
        seed: Of the order and of what is held out.
        root: Folder searched first, which must be there; see :func:`flatmin.data.load`.
        verify: Refuse files that are not the published ones.
        download: Fetch a set that is not found.
        split: Of ``timit``, see there.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If one is out of range.
        DataError: If ``root`` is no folder.

    Example:
        >>> data = LightningData("digits", batch_size=100)
        >>> data.setup()
        >>> batches = data.train_dataloader()
        >>> [next(iter(batches)).targets[:5].tolist() for epoch in range(2)]
        [[1, 0, 0, 3, 7], [1, 7, 2, 0, 7]]
    """

    def __init__(
        self,
        name: str,
        batch_size: int | str = 256,
        *,
        validation: int = 0,
        evaluation_batch_size: int = 1000,
        seed: int = 0,
        root: str | Path | None = None,
        verify: bool = True,
        download: bool = True,
        split: str = "frames",
    ) -> None:
        super().__init__()
        if not isinstance(batch_size, str):
            whole("batch_size", batch_size, minimum=1)
        self.name, self.batch_size = name, batch_size
        existing(root, "`root`")
        self.validation = whole("validation", validation)
        self.evaluation_batch_size = whole("evaluation_batch_size", evaluation_batch_size, minimum=1)
        self.seed = whole("seed", seed)
        self._where = {"root": root, "verify": verify, "download": download, "split": split}
        self._loaded: Dataset | None = None

    @property
    def dataset(self) -> Dataset:
        """The data set, loaded when it is first asked for.

        Raises:
            DataError: As :func:`flatmin.data.load`.
        """
        if self._loaded is None:
            self._loaded = load(self.name, **self._where)  # type: ignore[arg-type]
        return self._loaded

    def prepare_data(self) -> None:
        """Find the files, or fetch them, in one process alone."""
        assert self.dataset

    def setup(self, stage: str | None = None) -> None:
        """Divide the training examples.

        Raises:
            ValueError: If as many are held out as there are, or a batch is larger than what is left.
        """
        train = self.dataset.train
        if self.validation >= len(train):
            raise ValueError(f"`validation` must be below the {len(train)} training examples, got {self.validation}.")
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(train), generator=generator)
        held_out, kept = (part.sort().values for part in order.tensor_split([self.validation]))
        self.train = Split(train.inputs[kept], train.targets[kept]) if self.validation else train
        self.held_out = Split(train.inputs[held_out], train.targets[held_out]) if self.validation else self.dataset.test
        resolved_size(self.batch_size, len(self.train))

    def train_dataloader(self) -> ShuffledBatches | FixedBatches:
        """The training examples, in another order each epoch; in their own where a Trainer is to overfit some batches.

        Raises:
            ValueError: If several processes share the training.
        """
        if self.trainer is not None and self.trainer.world_size > 1:
            raise ValueError(
                f"LightningData feeds one process, got {self.trainer.world_size}; pass devices=1 to the Trainer, or "
                "make a DataLoader of `flatmin.data.load(name).train`, which Lightning divides."
            )
        size = resolved_size(self.batch_size, len(self.train))
        if self.trainer is not None and self.trainer.overfit_batches:  # type: ignore[attr-defined]
            return FixedBatches(self.train.inputs, self.train.targets, size)
        return ShuffledBatches(self.train.inputs, self.train.targets, size, seed=self.seed)

    def val_dataloader(self) -> FixedBatches:
        """The examples held out, or those of the test where there are none."""
        return FixedBatches(self.held_out.inputs, self.held_out.targets, self.evaluation_batch_size)

    def test_dataloader(self) -> FixedBatches:
        """The test examples."""
        return FixedBatches(self.dataset.test.inputs, self.dataset.test.targets, self.evaluation_batch_size)

    def predict_dataloader(self) -> FixedBatches:
        """The test examples."""
        return self.test_dataloader()

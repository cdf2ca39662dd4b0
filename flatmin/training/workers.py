"""The second phase of SWAP as a setting; see :mod:`flatmin.training.parallel_averaging`."""

from dataclasses import KW_ONLY, dataclass

from flatmin.core.checked import Checked
from flatmin.core.fields import BatchCount, Count, Epochs, Positive, Share
from flatmin.training.rates import Decay


@dataclass(frozen=True)
class Workers(Checked):
    """What becomes of a large batch's network: several copies train alone with a small batch, and their mean is kept.

    Warm-up, slow start, a growing batch and an accuracy to stop at are the large batch's alone.

    Attributes:
        batch_size: Examples a step of a worker.
        epochs: Of a worker.
        workers: How many.
        learning_rate: Of a worker; ``None`` is that of the large batch.
        decay: A worker's learning rate falls at some epochs.
        stop_at: Training accuracy at which the large batch ends; ``None`` spends its epochs.
        processes: How many train at a time.
    """

    batch_size: BatchCount
    epochs: Epochs
    _: KW_ONLY
    workers: Count = 4
    learning_rate: Positive | None = None
    decay: Decay | None = None
    stop_at: Share | None = None
    processes: Count = 1

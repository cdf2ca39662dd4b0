"""How a network is trained, and the part of it that names a result."""

from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from flatmin.core.checked import Checked, Misfit
from flatmin.core.cuts import cuts
from flatmin.core.fields import BatchCount, Count, Epoch, Epochs, Positive, Share
from flatmin.optimizers.named import OptimizerName, check_momentum
from flatmin.training.augmentation import Augmentation
from flatmin.training.averaging import Averaging
from flatmin.training.growing_batch import GrowingBatch, Growth
from flatmin.training.methods import Method
from flatmin.training.rates import Decay, SlowStart, WarmUp
from flatmin.training.workers import Workers

READINGS = ("batch", "running")
"""Of BatchNorm in the records of every epoch: they fix no weight, but what a result holds."""
PHASES = ("warm_up", "decay", "slow_start", "growing_batch", "averaging")
"""Settings that name epochs of their own."""
ALWAYS_NAMED = (
    *("batch_size", "epochs", "optimizer", "learning_rate", "momentum"),
    *("patience", "min_improvement", "evaluation_batch_size"),
)
"""The first eight settings there were; any other names a result only where it is set, so that earlier
results keep theirs."""


@dataclass(frozen=True, kw_only=True)
class Training(Checked):
    """How all networks of an experiment are trained: Keskar et al.'s protocol (Adam 1e-3, no schedule, no decay).

    Attributes:
        epochs: Passes over the training data. The paper trains until the loss stops improving; its figures show 100.
        optimizer: The paper uses Adam and says of its large batches that SGD and Adagrad do alike.
        learning_rate: Constant step size. The paper names none; 1e-3 is that of the authors' code.
        momentum: Of ``sgd``, ``lars`` and ``rmsprop_warm_up``.
        weight_decay: Times the weights, added to the gradient; LARS and LAMB have it in a place of their own.
        patience: Epochs without improvement after which training ends, by the rule of
            :class:`flatmin.training.record_keeping.RecordKeeper`; ``None`` spends the whole budget.
        min_improvement: Share by which the training loss must fall to count as an improvement.
        evaluation_batch_size: Cuts the data for the records of loss and accuracy after every epoch.
        precision: ``float32`` is that on a GPU too, not TF32; ``bfloat16`` multiplies matrices and convolves in 16 bits
            during training steps, never when anything is measured; weights, their updates and all records stay in
            float32.
        warm_up: A learning rate that begins below the full one.
        decay: A learning rate that falls at some epochs.
        slow_start: A learning rate in steps, the first of them low.
        growing_batch: A batch that is multiplied at some epochs.
        gradient_clip: Longest gradient; a longer one is made as long.
        ghost_batch_norm: Examples of a ghost batch, whose own statistics BatchNorm has in training.
        averaging: The network ends as the mean of its weights after some epochs; records of every epoch are of the way
            there.
        stop_at_accuracy: Training accuracy at whose epoch training ends.
    """

    epochs: Epochs = 100
    optimizer: OptimizerName = "adam"
    learning_rate: Positive = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    patience: Count | None = None
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = 0.01
    evaluation_batch_size: Count = 5000
    precision: Literal["float32", "bfloat16"] = "float32"
    warm_up: WarmUp | None = None
    decay: Decay | None = None
    slow_start: SlowStart | None = None
    growing_batch: GrowingBatch | None = None
    gradient_clip: Positive | None = None
    ghost_batch_norm: Annotated[BatchCount, Field(ge=2)] | None = None
    averaging: Averaging | None = None
    stop_at_accuracy: Share | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_momentum(self.optimizer, self.momentum)
        if self.averaging is not None:
            try:
                self.averaging.epochs(self.epochs)
            except Misfit as error:
                raise Misfit(f"averaging.{error.setting}", error.rule) from None


@dataclass(frozen=True)
class TrainingSettings(Training):
    """How to train one network.

    Attributes:
        batch_size: Examples a step.
        augmentation: Random changes of the training images; ``None`` trains on them as they are.
        method: How a batch becomes a step; ``None`` follows the gradient of its mean loss.
        snapshots: Epochs after which the weights are kept; 0 is the start.
        swap: What becomes of the network then; ``None`` for nothing.
    """

    batch_size: Count
    _: KW_ONLY
    augmentation: Augmentation | None = None
    method: Method | None = None
    snapshots: tuple[Epoch, ...] = ()
    swap: Workers | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for epoch in self.snapshots:
            if epoch > self.epochs:
                raise Misfit("snapshots", f"must be at most the {self.epochs} epochs trained, got {epoch}")
        largest = None if self.growing_batch is None else self.growing_batch.largest
        if largest is not None and largest < self.batch_size:
            raise Misfit(
                "growing_batch.largest",
                f"must be at least the batch it grows from, {self.batch_size:,}, got {largest:,}",
            )
        if self.swap is not None and self.averaging is not None:
            raise Misfit(
                "averaging", "must be null with `swap`, which ends as a mean of its own; leave one of them out"
            )

    @property
    def rows(self) -> int:
        """Rows of its record, the start's and the workers' among them, unless it ends early."""
        workers = self.swap.workers * (self.swap.epochs + 1) if self.swap else 0
        return self.epochs + 1 + workers

    def growth(self, examples: int) -> Growth | None:
        """How the batch grows on so many examples, if it does."""
        return None if self.growing_batch is None else self.growing_batch.of(self.batch_size, examples)

    def steps_per_epoch(self, examples: int) -> list[int]:
        """Batches in each epoch."""
        growth = self.growth(examples)
        return growth.steps_per_epoch(self.epochs) if growth else [len(cuts(examples, self.batch_size))] * self.epochs

    def described(self) -> dict[str, Any]:
        """The settings as plain values, for the identity of a result."""
        known = {name: getattr(self, name) for name in ALWAYS_NAMED} | {"readings": list(READINGS)}
        for field in fields(Training):
            if field.name not in known and (value := getattr(self, field.name)) != field.default:
                known[field.name] = asdict(value) if isinstance(value, Checked) else value
        if self.augmentation is not None:
            known["augmentation"] = asdict(self.augmentation)
        if self.method is not None:
            known["method"] = self.method.described()
        if self.swap is not None:
            known["swap"] = {key: value for key, value in asdict(self.swap).items() if key != "processes"}
        if self.snapshots:
            known["snapshots"] = sorted(set(self.snapshots))
        return known

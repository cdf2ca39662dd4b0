"""How a network is trained, and the part of it that names a result."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from flatmin.core.checks import one_of, whole
from flatmin.training.augmentation import Augmentation
from flatmin.training.classifier import check_optimizer
from flatmin.training.method import Method

PRECISIONS = ("float32", "bfloat16")
READINGS = ("batch", "running")
"""Of BatchNorm in the records of every epoch: they fix no weight, but what a result holds."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: Keskar et al.'s protocol by default (Adam 1e-3, no schedule, no decay, 100 epochs).

    Attributes:
        batch_size: Examples a step.
        epochs: Passes over the training data.
        optimizer: ``"adam"``, ``"sgd"`` or ``"adagrad"``.
        learning_rate: Constant step size.
        momentum: Of ``"sgd"`` only.
        patience: Epochs without improvement after which training ends, by the rule of
            :class:`flatmin.training.record_keeping.RecordKeeper`; ``None`` spends the whole budget.
        min_improvement: Share by which the training loss must fall to count as an improvement.
        evaluation_batch_size: Cuts the data for the records.
        augmentation: Random changes of the training images; ``None`` trains on them as they are.
        method: How a batch becomes a step; ``None`` follows the gradient of its mean loss.
        snapshots: Epochs after which the weights are kept; 0 is the start.
        precision: ``"float32"`` is that on a GPU too, not TF32; ``"bfloat16"`` multiplies matrices and convolves in
            16 bits during training steps; weights, their
            updates and all records stay in float32.
    """

    batch_size: int
    epochs: int = 100
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    patience: int | None = None
    min_improvement: float = 0.01
    evaluation_batch_size: int = 5000
    augmentation: Augmentation | None = None
    method: Method | None = None
    snapshots: tuple[int, ...] = ()
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "evaluation_batch_size"):
            whole(name, getattr(self, name), minimum=1)
        if self.patience is not None:
            whole("patience", self.patience, minimum=1)
        if not 0 <= self.min_improvement < 1:
            raise ValueError(f"`min_improvement` must lie in [0, 1), got {self.min_improvement!r}.")
        check_optimizer(self.optimizer, self.learning_rate, self.momentum)
        one_of("precision", self.precision, PRECISIONS)
        for epoch in self.snapshots:
            if whole("snapshots", epoch) > self.epochs:
                raise ValueError(f"`snapshots` must be at most the {self.epochs} epochs trained, got {epoch}.")

    def described(self) -> dict[str, Any]:
        """The settings as plain values, for the identity of a result.

        What was added to the first eight settings is named only where it is set, so that earlier results keep theirs.
        """
        added = ("augmentation", "method", "snapshots", "precision")
        known = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in added}
        known["readings"] = list(READINGS)
        if self.augmentation is not None:
            known["augmentation"] = asdict(self.augmentation)
        if self.method is not None:
            known["method"] = self.method.described()
        if self.snapshots:
            known["snapshots"] = sorted(set(self.snapshots))
        if self.precision != "float32":
            known["precision"] = self.precision
        return known

"""Training of a network from a seed: Lightning's loop, records per epoch, exact resume."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "Adversarial": "flatmin.training.methods.adversarial",
    "Augmentation": "flatmin.training.augmentation",
    "Averaging": "flatmin.training.averaging",
    "Classifier": "flatmin.training.classifier",
    "Conservative": "flatmin.training.methods.conservative",
    "Method": "flatmin.training.methods.method",
    "Robust": "flatmin.training.methods.robust",
    "Stability": "flatmin.training.methods.stability",
    "Swapped": "flatmin.training.parallel_averaging",
    "Trained": "flatmin.training.trainer",
    "TrainingSettings": "flatmin.training.settings",
    "WeightAverage": "flatmin.training.weight_average",
    "averaged": "flatmin.training.averaging",
    "ghost_batch_norm": "flatmin.training.ghost_batches",
    "reestimate_batch_norm": "flatmin.training.batch_statistics",
    "start_network": "flatmin.training.trainer",
    "swap": "flatmin.training.parallel_averaging",
    "train": "flatmin.training.trainer",
    "worker_seed": "flatmin.training.parallel_averaging",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "Adversarial",
    "Augmentation",
    "Averaging",
    "Classifier",
    "Conservative",
    "Method",
    "Robust",
    "Stability",
    "Swapped",
    "Trained",
    "TrainingSettings",
    "WeightAverage",
    "averaged",
    "ghost_batch_norm",
    "reestimate_batch_norm",
    "start_network",
    "swap",
    "train",
    "worker_seed",
]

if TYPE_CHECKING:
    from flatmin.training.augmentation import Augmentation
    from flatmin.training.averaging import Averaging, averaged
    from flatmin.training.batch_statistics import reestimate_batch_norm
    from flatmin.training.classifier import Classifier
    from flatmin.training.ghost_batches import ghost_batch_norm
    from flatmin.training.methods.adversarial import Adversarial
    from flatmin.training.methods.conservative import Conservative
    from flatmin.training.methods.method import Method
    from flatmin.training.methods.robust import Robust
    from flatmin.training.methods.stability import Stability
    from flatmin.training.parallel_averaging import Swapped, swap, worker_seed
    from flatmin.training.settings import TrainingSettings
    from flatmin.training.trainer import Trained, start_network, train
    from flatmin.training.weight_average import WeightAverage

"""Training of a network from a seed: Lightning's loop, records per epoch, exact resume."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "Adversarial": "flatmin.training.methods.adversarial",
    "Augmentation": "flatmin.training.augmentation",
    "Classifier": "flatmin.training.classifier",
    "Conservative": "flatmin.training.methods.conservative",
    "LAMB": "flatmin.optimizers.lamb",
    "LARS": "flatmin.optimizers.lars",
    "Method": "flatmin.training.methods.method",
    "RMSpropWarmUp": "flatmin.optimizers.rmsprop_warm_up",
    "Robust": "flatmin.training.methods.robust",
    "SAM": "flatmin.optimizers.sam",
    "SharpnessAware": "flatmin.training.methods.sharpness_aware",
    "Stability": "flatmin.training.methods.stability",
    "Trained": "flatmin.training.trainer",
    "TrainingSettings": "flatmin.training.settings",
    "rmsprop_share": "flatmin.optimizers.rmsprop_warm_up",
    "slow_start": "flatmin.optimizers.rmsprop_warm_up",
    "start_network": "flatmin.training.trainer",
    "train": "flatmin.training.trainer",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "LAMB",
    "LARS",
    "SAM",
    "Adversarial",
    "Augmentation",
    "Classifier",
    "Conservative",
    "Method",
    "RMSpropWarmUp",
    "Robust",
    "SharpnessAware",
    "Stability",
    "Trained",
    "TrainingSettings",
    "rmsprop_share",
    "slow_start",
    "start_network",
    "train",
]

if TYPE_CHECKING:
    from flatmin.optimizers.lamb import LAMB
    from flatmin.optimizers.lars import LARS
    from flatmin.optimizers.rmsprop_warm_up import RMSpropWarmUp, rmsprop_share, slow_start
    from flatmin.optimizers.sam import SAM
    from flatmin.training.augmentation import Augmentation
    from flatmin.training.classifier import Classifier
    from flatmin.training.methods.adversarial import Adversarial
    from flatmin.training.methods.conservative import Conservative
    from flatmin.training.methods.method import Method
    from flatmin.training.methods.robust import Robust
    from flatmin.training.methods.sharpness_aware import SharpnessAware
    from flatmin.training.methods.stability import Stability
    from flatmin.training.settings import TrainingSettings
    from flatmin.training.trainer import Trained, start_network, train

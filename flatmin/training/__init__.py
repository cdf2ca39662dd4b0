"""Training of a network from a seed: Lightning's loop, records per epoch, exact resume."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "Adversarial": "flatmin.training.methods.adversarial",
    "Augmentation": "flatmin.training.augmentation",
    "Averaging": "flatmin.training.averaging",
    "Classifier": "flatmin.training.classifier",
    "Conservative": "flatmin.training.methods.conservative",
    "Decay": "flatmin.training.rates",
    "GradientNoise": "flatmin.training.methods.gradient_noise",
    "GrowBatch": "flatmin.training.grow_batch",
    "GrowingBatch": "flatmin.training.growing_batch",
    "Growth": "flatmin.training.growing_batch",
    "LAMB": "flatmin.optimizers.lamb",
    "LARS": "flatmin.optimizers.lars",
    "Method": "flatmin.training.methods.method",
    "RMSpropWarmUp": "flatmin.optimizers.rmsprop_warm_up",
    "Robust": "flatmin.training.methods.robust",
    "SAM": "flatmin.optimizers.sam",
    "SharpnessAware": "flatmin.training.methods.sharpness_aware",
    "SlowStart": "flatmin.training.rates",
    "Stability": "flatmin.training.methods.stability",
    "Swapped": "flatmin.training.parallel_averaging",
    "Trained": "flatmin.training.trainer",
    "TrainingSettings": "flatmin.training.settings",
    "WarmUp": "flatmin.training.rates",
    "WeightAverage": "flatmin.training.weight_average",
    "Workers": "flatmin.training.workers",
    "averaged": "flatmin.training.averaging",
    "corrected_momentum": "flatmin.training.rates",
    "ghost_batch_norm": "flatmin.training.ghost_batches",
    "linear_scaling": "flatmin.training.rates",
    "matching_sigma": "flatmin.training.methods.gradient_noise",
    "rate_schedule": "flatmin.training.schedules",
    "reestimate_batch_norm": "flatmin.training.batch_statistics",
    "regime_adaptation": "flatmin.training.rates",
    "rmsprop_share": "flatmin.optimizers.rmsprop_warm_up",
    "sqrt_scaling": "flatmin.training.rates",
    "start_network": "flatmin.training.trainer",
    "swap": "flatmin.training.parallel_averaging",
    "train": "flatmin.training.trainer",
    "warm_up": "flatmin.training.schedules",
    "worker_seed": "flatmin.training.parallel_averaging",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "LAMB",
    "LARS",
    "SAM",
    "Adversarial",
    "Augmentation",
    "Averaging",
    "Classifier",
    "Conservative",
    "Decay",
    "GradientNoise",
    "GrowBatch",
    "GrowingBatch",
    "Growth",
    "Method",
    "RMSpropWarmUp",
    "Robust",
    "SharpnessAware",
    "SlowStart",
    "Stability",
    "Swapped",
    "Trained",
    "TrainingSettings",
    "WarmUp",
    "WeightAverage",
    "Workers",
    "averaged",
    "corrected_momentum",
    "ghost_batch_norm",
    "linear_scaling",
    "matching_sigma",
    "rate_schedule",
    "reestimate_batch_norm",
    "regime_adaptation",
    "rmsprop_share",
    "sqrt_scaling",
    "start_network",
    "swap",
    "train",
    "warm_up",
    "worker_seed",
]

if TYPE_CHECKING:
    from flatmin.optimizers.lamb import LAMB
    from flatmin.optimizers.lars import LARS
    from flatmin.optimizers.rmsprop_warm_up import RMSpropWarmUp, rmsprop_share
    from flatmin.optimizers.sam import SAM
    from flatmin.training.augmentation import Augmentation
    from flatmin.training.averaging import Averaging, averaged
    from flatmin.training.batch_statistics import reestimate_batch_norm
    from flatmin.training.classifier import Classifier
    from flatmin.training.ghost_batches import ghost_batch_norm
    from flatmin.training.grow_batch import GrowBatch
    from flatmin.training.growing_batch import GrowingBatch, Growth
    from flatmin.training.methods.adversarial import Adversarial
    from flatmin.training.methods.conservative import Conservative
    from flatmin.training.methods.gradient_noise import GradientNoise, matching_sigma
    from flatmin.training.methods.method import Method
    from flatmin.training.methods.robust import Robust
    from flatmin.training.methods.sharpness_aware import SharpnessAware
    from flatmin.training.methods.stability import Stability
    from flatmin.training.parallel_averaging import Swapped, swap, worker_seed
    from flatmin.training.rates import (
        Decay,
        SlowStart,
        WarmUp,
        corrected_momentum,
        linear_scaling,
        regime_adaptation,
        sqrt_scaling,
    )
    from flatmin.training.schedules import rate_schedule, warm_up
    from flatmin.training.settings import TrainingSettings
    from flatmin.training.trainer import Trained, start_network, train
    from flatmin.training.weight_average import WeightAverage
    from flatmin.training.workers import Workers

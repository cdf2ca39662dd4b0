"""Training of a network from a seed: Lightning's loop, records per epoch, exact resume."""

from flatmin.training.adversarial import Adversarial
from flatmin.training.augmentation import Augmentation
from flatmin.training.classifier import Classifier
from flatmin.training.conservative import Conservative
from flatmin.training.method import Method
from flatmin.training.robust import Robust
from flatmin.training.settings import TrainingSettings
from flatmin.training.stability import Stability
from flatmin.training.trainer import Trained, start_network, train

__all__ = [
    "Adversarial",
    "Augmentation",
    "Classifier",
    "Conservative",
    "Method",
    "Robust",
    "Stability",
    "Trained",
    "TrainingSettings",
    "start_network",
    "train",
]

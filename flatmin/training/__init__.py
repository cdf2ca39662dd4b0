"""Training of a network from a seed: Lightning's loop, records per epoch, exact resume."""

from flatmin.training.classifier import Classifier
from flatmin.training.trainer import Trained, TrainingSettings, start_network, train

__all__ = ["Classifier", "Trained", "TrainingSettings", "start_network", "train"]

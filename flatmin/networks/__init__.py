"""The six networks of Keskar et al. (2017) as plain modules."""

from flatmin.networks.convolutional import C1, C2, C3, C4
from flatmin.networks.fully_connected import F1, F2

__all__ = ["C1", "C2", "C3", "C4", "F1", "F2"]

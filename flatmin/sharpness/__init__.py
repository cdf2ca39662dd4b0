"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness

__all__ = ["METHODS", "Effort", "Sharpness", "effort", "epsilon_sharpness"]

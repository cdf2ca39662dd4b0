"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.average_case import AverageCase, average_case_sharpness
from flatmin.sharpness.critical import CriticalSharpness, critical_sharpness
from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness
from flatmin.sharpness.gradient_noise import GradientNoise, gradient_noise_scale
from flatmin.sharpness.held_out import Rise, rise_on

__all__ = [
    "METHODS",
    "AverageCase",
    "CriticalSharpness",
    "Effort",
    "GradientNoise",
    "Rise",
    "Sharpness",
    "average_case_sharpness",
    "critical_sharpness",
    "effort",
    "epsilon_sharpness",
    "gradient_noise_scale",
    "rise_on",
]

"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.average_case import AverageCase, average_case_sharpness
from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness
from flatmin.sharpness.explained import Explained, explained
from flatmin.sharpness.held_out import Rise, rise_on
from flatmin.sharpness.steep_directions import SteepDirections, steep_directions

__all__ = [
    "METHODS",
    "AverageCase",
    "Effort",
    "Explained",
    "Rise",
    "Sharpness",
    "SteepDirections",
    "average_case_sharpness",
    "effort",
    "epsilon_sharpness",
    "explained",
    "rise_on",
    "steep_directions",
]

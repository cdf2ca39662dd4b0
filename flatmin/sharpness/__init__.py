"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.average_case import AverageCase, average_case_sharpness
from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness
from flatmin.sharpness.geodesic import Geodesic, geodesic_sharpness
from flatmin.sharpness.held_out import Rise, rise_on
from flatmin.sharpness.worst_case import WorstCase, worst_case_sharpness

__all__ = [
    "METHODS",
    "AverageCase",
    "Effort",
    "Geodesic",
    "Rise",
    "Sharpness",
    "WorstCase",
    "average_case_sharpness",
    "effort",
    "epsilon_sharpness",
    "geodesic_sharpness",
    "rise_on",
    "worst_case_sharpness",
]

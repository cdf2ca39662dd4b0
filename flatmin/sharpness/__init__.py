"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.average_case import AverageCase, average_case_sharpness
from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness
from flatmin.sharpness.held_out import Rise, rise_on
from flatmin.sharpness.learning_coefficient import LearningCoefficient, local_learning_coefficient
from flatmin.sharpness.pac_bayes import PacBayesSigma, pac_bayes_sigma

__all__ = [
    "METHODS",
    "AverageCase",
    "Effort",
    "LearningCoefficient",
    "PacBayesSigma",
    "Rise",
    "Sharpness",
    "average_case_sharpness",
    "effort",
    "epsilon_sharpness",
    "local_learning_coefficient",
    "pac_bayes_sigma",
    "rise_on",
]

"""Sharpness measures: functions of an objective that return a number and what it rests on."""

from flatmin.sharpness.average_case import AverageCase, average_case_sharpness
from flatmin.sharpness.controls import ParameterNorm, PathNorm, SpectralBound, parameter_norm, path_norm, spectral_bound
from flatmin.sharpness.critical import CriticalSharpness, critical_sharpness
from flatmin.sharpness.effort import Effort, effort
from flatmin.sharpness.epsilon_sharpness import METHODS, Sharpness, epsilon_sharpness
from flatmin.sharpness.explained import Explained, explained
from flatmin.sharpness.fisher_rao import FisherRao, fisher_rao
from flatmin.sharpness.geodesic import Geodesic, geodesic_sharpness
from flatmin.sharpness.gradient_noise import GradientNoise, gradient_noise_scale
from flatmin.sharpness.held_out import Rise, rise_on
from flatmin.sharpness.learning_coefficient import LearningCoefficient, local_learning_coefficient
from flatmin.sharpness.local_entropy import LocalEntropy, local_entropy
from flatmin.sharpness.low_pass import LowPass, low_pass
from flatmin.sharpness.pac_bayes import PacBayesSigma, pac_bayes_sigma
from flatmin.sharpness.relative_flatness import RelativeFlatness, relative_flatness
from flatmin.sharpness.rounding import RoundingRise, rounding_rise
from flatmin.sharpness.steep_directions import SteepDirections, steep_directions
from flatmin.sharpness.worst_case import WorstCase, worst_case_sharpness

__all__ = [
    "METHODS",
    "AverageCase",
    "CriticalSharpness",
    "Effort",
    "Explained",
    "FisherRao",
    "Geodesic",
    "GradientNoise",
    "LearningCoefficient",
    "LocalEntropy",
    "LowPass",
    "PacBayesSigma",
    "ParameterNorm",
    "PathNorm",
    "RelativeFlatness",
    "Rise",
    "RoundingRise",
    "Sharpness",
    "SpectralBound",
    "SteepDirections",
    "WorstCase",
    "average_case_sharpness",
    "critical_sharpness",
    "effort",
    "epsilon_sharpness",
    "explained",
    "fisher_rao",
    "geodesic_sharpness",
    "gradient_noise_scale",
    "local_entropy",
    "local_learning_coefficient",
    "low_pass",
    "pac_bayes_sigma",
    "parameter_norm",
    "path_norm",
    "relative_flatness",
    "rise_on",
    "rounding_rise",
    "spectral_bound",
    "steep_directions",
    "worst_case_sharpness",
]

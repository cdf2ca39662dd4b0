"""flatmin: sharp and flat minima of neural networks, after Keskar et al. (2017).

The loss as a function of the weights
    Objective

How sharp it is
    epsilon_sharpness, average_case_sharpness, effort, rise_on, by_layer, pac_bayes_sigma,
    local_learning_coefficient, low_pass, local_entropy, fisher_rao, relative_flatness,
    path_norm, spectral_bound, parameter_norm, rounding_rise

What it looks like
    filter_normalized, slice_1d, slice_2d, plane_through, path_between, slice_path

During training
    SharpnessCallback (and flatmin.networks.LightningF1 to LightningC4, flatmin.data.LightningData)

Several subsets, several planes, files of results
    over_subsets, plot_side_by_side, load

Results, for annotations (each has to_frame, to_record and save, most have plot)
    Sharpness, AverageCase, Rise, Effort, PacBayesSigma, LearningCoefficient, LowPass, LocalEntropy,
    FisherRao, RelativeFlatness, PathNorm, SpectralBound, ParameterNorm, RoundingRise, Line, Plane, ThreePointPlane,
    Subsets, SubsetLines

The paper's networks and data sets
    flatmin.networks, flatmin.data
"""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

__version__ = "0.1.0"

_HOMES = {
    "AverageCase": "flatmin.sharpness",
    "Effort": "flatmin.sharpness",
    "FisherRao": "flatmin.sharpness",
    "LearningCoefficient": "flatmin.sharpness",
    "Line": "flatmin.landscapes",
    "LocalEntropy": "flatmin.sharpness",
    "LowPass": "flatmin.sharpness",
    "Objective": "flatmin.objective.objective",
    "PacBayesSigma": "flatmin.sharpness",
    "ParameterNorm": "flatmin.sharpness",
    "PathNorm": "flatmin.sharpness",
    "Plane": "flatmin.landscapes",
    "RelativeFlatness": "flatmin.sharpness",
    "Rise": "flatmin.sharpness",
    "RoundingRise": "flatmin.sharpness",
    "Sharpness": "flatmin.sharpness",
    "SharpnessCallback": "flatmin.callbacks.sharpness",
    "SpectralBound": "flatmin.sharpness",
    "SubsetLines": "flatmin.landscapes",
    "Subsets": "flatmin.landscapes",
    "ThreePointPlane": "flatmin.landscapes",
    "average_case_sharpness": "flatmin.sharpness.average_case",
    "by_layer": "flatmin.sharpness.by_layer",
    "effort": "flatmin.sharpness.effort",
    "epsilon_sharpness": "flatmin.sharpness.epsilon_sharpness",
    "filter_normalized": "flatmin.landscapes",
    "fisher_rao": "flatmin.sharpness.fisher_rao",
    "load": "flatmin.core.result",
    "local_entropy": "flatmin.sharpness.local_entropy",
    "local_learning_coefficient": "flatmin.sharpness.learning_coefficient",
    "low_pass": "flatmin.sharpness.low_pass",
    "over_subsets": "flatmin.landscapes",
    "pac_bayes_sigma": "flatmin.sharpness.pac_bayes",
    "parameter_norm": "flatmin.sharpness.controls",
    "path_between": "flatmin.landscapes",
    "path_norm": "flatmin.sharpness.controls",
    "plane_through": "flatmin.landscapes",
    "plot_side_by_side": "flatmin.figures.own_planes",
    "relative_flatness": "flatmin.sharpness.relative_flatness",
    "rise_on": "flatmin.sharpness.held_out",
    "rounding_rise": "flatmin.sharpness.rounding",
    "slice_1d": "flatmin.landscapes",
    "slice_2d": "flatmin.landscapes",
    "slice_path": "flatmin.landscapes",
    "spectral_bound": "flatmin.sharpness.controls",
}
_ROOMS = ("data", "networks")
__getattr__, __dir__ = on_first_use(__name__, _HOMES, _ROOMS)

__all__ = [
    "AverageCase",
    "Effort",
    "FisherRao",
    "LearningCoefficient",
    "Line",
    "LocalEntropy",
    "LowPass",
    "Objective",
    "PacBayesSigma",
    "ParameterNorm",
    "PathNorm",
    "Plane",
    "RelativeFlatness",
    "Rise",
    "RoundingRise",
    "Sharpness",
    "SharpnessCallback",
    "SpectralBound",
    "SubsetLines",
    "Subsets",
    "ThreePointPlane",
    "__version__",
    "average_case_sharpness",
    "by_layer",
    "effort",
    "epsilon_sharpness",
    "filter_normalized",
    "fisher_rao",
    "load",
    "local_entropy",
    "local_learning_coefficient",
    "low_pass",
    "over_subsets",
    "pac_bayes_sigma",
    "parameter_norm",
    "path_between",
    "path_norm",
    "plane_through",
    "plot_side_by_side",
    "relative_flatness",
    "rise_on",
    "rounding_rise",
    "slice_1d",
    "slice_2d",
    "slice_path",
    "spectral_bound",
]

if TYPE_CHECKING:
    from flatmin import data as data
    from flatmin import networks as networks
    from flatmin.callbacks.sharpness import SharpnessCallback
    from flatmin.core.result import load
    from flatmin.figures.own_planes import plot_side_by_side
    from flatmin.landscapes import (
        Line,
        Plane,
        SubsetLines,
        Subsets,
        ThreePointPlane,
        filter_normalized,
        over_subsets,
        path_between,
        plane_through,
        slice_1d,
        slice_2d,
        slice_path,
    )
    from flatmin.objective.objective import Objective
    from flatmin.sharpness import (
        AverageCase,
        Effort,
        FisherRao,
        LearningCoefficient,
        LocalEntropy,
        LowPass,
        PacBayesSigma,
        ParameterNorm,
        PathNorm,
        RelativeFlatness,
        Rise,
        RoundingRise,
        Sharpness,
        SpectralBound,
    )
    from flatmin.sharpness.average_case import average_case_sharpness
    from flatmin.sharpness.by_layer import by_layer
    from flatmin.sharpness.controls import parameter_norm, path_norm, spectral_bound
    from flatmin.sharpness.effort import effort
    from flatmin.sharpness.epsilon_sharpness import epsilon_sharpness
    from flatmin.sharpness.fisher_rao import fisher_rao
    from flatmin.sharpness.held_out import rise_on
    from flatmin.sharpness.learning_coefficient import local_learning_coefficient
    from flatmin.sharpness.local_entropy import local_entropy
    from flatmin.sharpness.low_pass import low_pass
    from flatmin.sharpness.pac_bayes import pac_bayes_sigma
    from flatmin.sharpness.relative_flatness import relative_flatness
    from flatmin.sharpness.rounding import rounding_rise

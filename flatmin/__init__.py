"""flatmin: sharp and flat minima of neural networks, after Keskar et al. (2017).

The loss as a function of the weights
    Objective, logit_normalized

How sharp it is
    epsilon_sharpness, worst_case_sharpness, geodesic_sharpness, average_case_sharpness, effort, rise_on, by_layer
    pac_bayes_sigma, local_learning_coefficient, low_pass, local_entropy, fisher_rao, relative_flatness
    rounding_rise, and as controls path_norm, spectral_bound, parameter_norm
    explained, steep_directions

How it is curved
    top_eigenvalues, trace, diagonal, spectral_density, spectrum, hessian
    gauss_newton, empirical_fisher, linear_operator

What kind of point it is
    critical_point, escape, find_critical_point

Networks of the same function
    transformed

What an optimiser meets: its own step, its own coordinates, what it stands
    critical_sharpness, update_of, gradient_noise_scale, smith_le_noise_scale
    preconditioned, scales_of, preconditioned_sharpness, stability_threshold, threshold_of

What it looks like
    filter_normalized, slice_1d, slice_2d, plane_through, path_between, slice_path

Whether two minima are one valley
    connect, barrier, match_neurons

During training
    SharpnessCallback (and flatmin.networks.LightningF1 to LightningC4, flatmin.data.LightningData)
    flatmin.training: LARS, LAMB, SAM, ghost_batch_norm, linear_scaling, warm_up, WeightAverage, swap

Several subsets, several planes, files of results
    over_subsets, plot_side_by_side, load

Results, for annotations (each has to_frame, to_record and save, most have plot)
    Sharpness, WorstCase, Geodesic, AverageCase, Rise, Effort, PacBayesSigma, LearningCoefficient, LowPass,
    LocalEntropy, FisherRao, RelativeFlatness, RoundingRise, PathNorm, SpectralBound, ParameterNorm,
    Eigenvalues, Trace, Diagonal, Density, Spectrum, CriticalPoint, Escape, Stationary,
    CriticalSharpness, GradientNoise, PreconditionedSharpness, Explained, SteepDirections,
    Line, Plane, ThreePointPlane, Subsets, SubsetLines, Curve, Barrier

A network of the same function, as `transformed` and `match_neurons` return it
    Transformed, Matched

The paper's networks and data sets
    flatmin.networks, flatmin.data
"""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

__version__ = "0.1.0"

_HOMES = {
    "AverageCase": "flatmin.sharpness",
    "Barrier": "flatmin.connectivity",
    "CriticalPoint": "flatmin.curvature",
    "CriticalSharpness": "flatmin.sharpness",
    "Curve": "flatmin.connectivity",
    "Density": "flatmin.curvature",
    "Diagonal": "flatmin.curvature",
    "Effort": "flatmin.sharpness",
    "Eigenvalues": "flatmin.curvature",
    "Escape": "flatmin.curvature",
    "Explained": "flatmin.sharpness",
    "FisherRao": "flatmin.sharpness",
    "Geodesic": "flatmin.sharpness",
    "GradientNoise": "flatmin.sharpness",
    "LearningCoefficient": "flatmin.sharpness",
    "Line": "flatmin.landscapes",
    "LocalEntropy": "flatmin.sharpness",
    "LowPass": "flatmin.sharpness",
    "Matched": "flatmin.connectivity",
    "Objective": "flatmin.objective.objective",
    "PacBayesSigma": "flatmin.sharpness",
    "ParameterNorm": "flatmin.sharpness",
    "PathNorm": "flatmin.sharpness",
    "Plane": "flatmin.landscapes",
    "PreconditionedSharpness": "flatmin.sharpness.effective",
    "RelativeFlatness": "flatmin.sharpness",
    "Rise": "flatmin.sharpness",
    "RoundingRise": "flatmin.sharpness",
    "Sharpness": "flatmin.sharpness",
    "SharpnessCallback": "flatmin.callbacks.sharpness",
    "SpectralBound": "flatmin.sharpness",
    "Spectrum": "flatmin.curvature",
    "Stationary": "flatmin.curvature",
    "SteepDirections": "flatmin.sharpness",
    "SubsetLines": "flatmin.landscapes",
    "Subsets": "flatmin.landscapes",
    "ThreePointPlane": "flatmin.landscapes",
    "Trace": "flatmin.curvature",
    "Transformed": "flatmin.symmetries",
    "WorstCase": "flatmin.sharpness",
    "average_case_sharpness": "flatmin.sharpness.average_case",
    "barrier": "flatmin.connectivity",
    "by_layer": "flatmin.sharpness.by_layer",
    "connect": "flatmin.connectivity",
    "critical_point": "flatmin.curvature",
    "critical_sharpness": "flatmin.sharpness.critical",
    "diagonal": "flatmin.curvature",
    "effort": "flatmin.sharpness.effort",
    "empirical_fisher": "flatmin.curvature",
    "epsilon_sharpness": "flatmin.sharpness.epsilon_sharpness",
    "escape": "flatmin.curvature",
    "explained": "flatmin.sharpness.explained",
    "filter_normalized": "flatmin.landscapes",
    "find_critical_point": "flatmin.curvature",
    "fisher_rao": "flatmin.sharpness.fisher_rao",
    "gauss_newton": "flatmin.curvature",
    "geodesic_sharpness": "flatmin.sharpness.geodesic",
    "gradient_noise_scale": "flatmin.sharpness.gradient_noise",
    "hessian": "flatmin.curvature",
    "linear_operator": "flatmin.curvature",
    "load": "flatmin.core.result",
    "local_entropy": "flatmin.sharpness.local_entropy",
    "local_learning_coefficient": "flatmin.sharpness.learning_coefficient",
    "logit_normalized": "flatmin.objective.normalized_logits",
    "low_pass": "flatmin.sharpness.low_pass",
    "match_neurons": "flatmin.connectivity",
    "over_subsets": "flatmin.landscapes",
    "pac_bayes_sigma": "flatmin.sharpness.pac_bayes",
    "parameter_norm": "flatmin.sharpness.controls",
    "path_between": "flatmin.landscapes",
    "path_norm": "flatmin.sharpness.controls",
    "plane_through": "flatmin.landscapes",
    "plot_side_by_side": "flatmin.figures.own_planes",
    "preconditioned": "flatmin.objective.preconditioned",
    "preconditioned_sharpness": "flatmin.sharpness.effective",
    "relative_flatness": "flatmin.sharpness.relative_flatness",
    "rise_on": "flatmin.sharpness.held_out",
    "rounding_rise": "flatmin.sharpness.rounding",
    "scales_of": "flatmin.objective.preconditioned",
    "slice_1d": "flatmin.landscapes",
    "slice_2d": "flatmin.landscapes",
    "slice_path": "flatmin.landscapes",
    "smith_le_noise_scale": "flatmin.sharpness.gradient_noise",
    "spectral_bound": "flatmin.sharpness.controls",
    "spectral_density": "flatmin.curvature",
    "spectrum": "flatmin.curvature",
    "stability_threshold": "flatmin.sharpness.stability",
    "steep_directions": "flatmin.sharpness.steep_directions",
    "threshold_of": "flatmin.sharpness.stability",
    "top_eigenvalues": "flatmin.curvature",
    "trace": "flatmin.curvature",
    "transformed": "flatmin.symmetries",
    "update_of": "flatmin.objective.updates",
    "worst_case_sharpness": "flatmin.sharpness.worst_case",
}
_ROOMS = ("data", "networks")
__getattr__, __dir__ = on_first_use(__name__, _HOMES, _ROOMS)

__all__ = [
    "AverageCase",
    "Barrier",
    "CriticalPoint",
    "CriticalSharpness",
    "Curve",
    "Density",
    "Diagonal",
    "Effort",
    "Eigenvalues",
    "Escape",
    "Explained",
    "FisherRao",
    "Geodesic",
    "GradientNoise",
    "LearningCoefficient",
    "Line",
    "LocalEntropy",
    "LowPass",
    "Matched",
    "Objective",
    "PacBayesSigma",
    "ParameterNorm",
    "PathNorm",
    "Plane",
    "PreconditionedSharpness",
    "RelativeFlatness",
    "Rise",
    "RoundingRise",
    "Sharpness",
    "SharpnessCallback",
    "SpectralBound",
    "Spectrum",
    "Stationary",
    "SteepDirections",
    "SubsetLines",
    "Subsets",
    "ThreePointPlane",
    "Trace",
    "Transformed",
    "WorstCase",
    "__version__",
    "average_case_sharpness",
    "barrier",
    "by_layer",
    "connect",
    "critical_point",
    "critical_sharpness",
    "diagonal",
    "effort",
    "empirical_fisher",
    "epsilon_sharpness",
    "escape",
    "explained",
    "filter_normalized",
    "find_critical_point",
    "fisher_rao",
    "gauss_newton",
    "geodesic_sharpness",
    "gradient_noise_scale",
    "hessian",
    "linear_operator",
    "load",
    "local_entropy",
    "local_learning_coefficient",
    "logit_normalized",
    "low_pass",
    "match_neurons",
    "over_subsets",
    "pac_bayes_sigma",
    "parameter_norm",
    "path_between",
    "path_norm",
    "plane_through",
    "plot_side_by_side",
    "preconditioned",
    "preconditioned_sharpness",
    "relative_flatness",
    "rise_on",
    "rounding_rise",
    "scales_of",
    "slice_1d",
    "slice_2d",
    "slice_path",
    "smith_le_noise_scale",
    "spectral_bound",
    "spectral_density",
    "spectrum",
    "stability_threshold",
    "steep_directions",
    "threshold_of",
    "top_eigenvalues",
    "trace",
    "transformed",
    "update_of",
    "worst_case_sharpness",
]

if TYPE_CHECKING:
    from flatmin import data as data
    from flatmin import networks as networks
    from flatmin.callbacks.sharpness import SharpnessCallback
    from flatmin.connectivity import Barrier, Curve, Matched, barrier, connect, match_neurons
    from flatmin.core.result import load
    from flatmin.curvature import (
        CriticalPoint,
        Density,
        Diagonal,
        Eigenvalues,
        Escape,
        Spectrum,
        Stationary,
        Trace,
        critical_point,
        diagonal,
        empirical_fisher,
        escape,
        find_critical_point,
        gauss_newton,
        hessian,
        linear_operator,
        spectral_density,
        spectrum,
        top_eigenvalues,
        trace,
    )
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
    from flatmin.objective.normalized_logits import logit_normalized
    from flatmin.objective.objective import Objective
    from flatmin.objective.preconditioned import preconditioned, scales_of
    from flatmin.objective.updates import update_of
    from flatmin.sharpness import (
        AverageCase,
        CriticalSharpness,
        Effort,
        Explained,
        FisherRao,
        Geodesic,
        GradientNoise,
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
        SteepDirections,
        WorstCase,
    )
    from flatmin.sharpness.average_case import average_case_sharpness
    from flatmin.sharpness.by_layer import by_layer
    from flatmin.sharpness.controls import parameter_norm, path_norm, spectral_bound
    from flatmin.sharpness.critical import critical_sharpness
    from flatmin.sharpness.effective import PreconditionedSharpness, preconditioned_sharpness
    from flatmin.sharpness.effort import effort
    from flatmin.sharpness.epsilon_sharpness import epsilon_sharpness
    from flatmin.sharpness.explained import explained
    from flatmin.sharpness.fisher_rao import fisher_rao
    from flatmin.sharpness.geodesic import geodesic_sharpness
    from flatmin.sharpness.gradient_noise import gradient_noise_scale, smith_le_noise_scale
    from flatmin.sharpness.held_out import rise_on
    from flatmin.sharpness.learning_coefficient import local_learning_coefficient
    from flatmin.sharpness.local_entropy import local_entropy
    from flatmin.sharpness.low_pass import low_pass
    from flatmin.sharpness.pac_bayes import pac_bayes_sigma
    from flatmin.sharpness.relative_flatness import relative_flatness
    from flatmin.sharpness.rounding import rounding_rise
    from flatmin.sharpness.stability import stability_threshold, threshold_of
    from flatmin.sharpness.steep_directions import steep_directions
    from flatmin.sharpness.worst_case import worst_case_sharpness
    from flatmin.symmetries import Transformed, transformed

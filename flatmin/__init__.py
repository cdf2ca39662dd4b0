"""flatmin: sharp and flat minima of neural networks, after Keskar et al. (2017).

The loss as a function of the weights
    Objective

How sharp it is
    epsilon_sharpness, average_case_sharpness, effort, rise_on, by_layer
    explained, steep_directions

How it is curved
    top_eigenvalues, trace, diagonal, spectral_density, spectrum, hessian
    gauss_newton, empirical_fisher, linear_operator

What kind of point it is
    critical_point, escape, find_critical_point

Networks of the same function
    transformed

What it looks like
    filter_normalized, slice_1d, slice_2d, plane_through, path_between, slice_path

During training
    SharpnessCallback (and flatmin.networks.LightningF1 to LightningC4, flatmin.data.LightningData)

Several subsets, several planes, files of results
    over_subsets, plot_side_by_side, load

Results, for annotations (each has to_frame, to_record and save, most have plot)
    Sharpness, AverageCase, Rise, Effort, Explained, SteepDirections, Eigenvalues, Trace, Diagonal, Density,
    Spectrum, CriticalPoint, Escape, Stationary, Line, Plane, ThreePointPlane, Subsets, SubsetLines

A network of the same function, as `transformed` returns it
    Transformed

The paper's networks and data sets
    flatmin.networks, flatmin.data
"""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

__version__ = "0.1.0"

_HOMES = {
    "AverageCase": "flatmin.sharpness",
    "CriticalPoint": "flatmin.curvature",
    "Density": "flatmin.curvature",
    "Diagonal": "flatmin.curvature",
    "Effort": "flatmin.sharpness",
    "Eigenvalues": "flatmin.curvature",
    "Escape": "flatmin.curvature",
    "Explained": "flatmin.sharpness",
    "Line": "flatmin.landscapes",
    "Objective": "flatmin.objective.objective",
    "Plane": "flatmin.landscapes",
    "Rise": "flatmin.sharpness",
    "Sharpness": "flatmin.sharpness",
    "SharpnessCallback": "flatmin.callbacks.sharpness",
    "Spectrum": "flatmin.curvature",
    "Stationary": "flatmin.curvature",
    "SteepDirections": "flatmin.sharpness",
    "SubsetLines": "flatmin.landscapes",
    "Subsets": "flatmin.landscapes",
    "ThreePointPlane": "flatmin.landscapes",
    "Trace": "flatmin.curvature",
    "Transformed": "flatmin.symmetries",
    "average_case_sharpness": "flatmin.sharpness.average_case",
    "by_layer": "flatmin.sharpness.by_layer",
    "critical_point": "flatmin.curvature",
    "diagonal": "flatmin.curvature",
    "effort": "flatmin.sharpness.effort",
    "empirical_fisher": "flatmin.curvature",
    "epsilon_sharpness": "flatmin.sharpness.epsilon_sharpness",
    "escape": "flatmin.curvature",
    "explained": "flatmin.sharpness.explained",
    "filter_normalized": "flatmin.landscapes",
    "find_critical_point": "flatmin.curvature",
    "gauss_newton": "flatmin.curvature",
    "hessian": "flatmin.curvature",
    "linear_operator": "flatmin.curvature",
    "load": "flatmin.core.result",
    "over_subsets": "flatmin.landscapes",
    "path_between": "flatmin.landscapes",
    "plane_through": "flatmin.landscapes",
    "plot_side_by_side": "flatmin.figures.own_planes",
    "rise_on": "flatmin.sharpness.held_out",
    "slice_1d": "flatmin.landscapes",
    "slice_2d": "flatmin.landscapes",
    "slice_path": "flatmin.landscapes",
    "spectral_density": "flatmin.curvature",
    "spectrum": "flatmin.curvature",
    "steep_directions": "flatmin.sharpness.steep_directions",
    "top_eigenvalues": "flatmin.curvature",
    "trace": "flatmin.curvature",
    "transformed": "flatmin.symmetries",
}
_ROOMS = ("data", "networks")
__getattr__, __dir__ = on_first_use(__name__, _HOMES, _ROOMS)

__all__ = [
    "AverageCase",
    "CriticalPoint",
    "Density",
    "Diagonal",
    "Effort",
    "Eigenvalues",
    "Escape",
    "Explained",
    "Line",
    "Objective",
    "Plane",
    "Rise",
    "Sharpness",
    "SharpnessCallback",
    "Spectrum",
    "Stationary",
    "SteepDirections",
    "SubsetLines",
    "Subsets",
    "ThreePointPlane",
    "Trace",
    "Transformed",
    "__version__",
    "average_case_sharpness",
    "by_layer",
    "critical_point",
    "diagonal",
    "effort",
    "empirical_fisher",
    "epsilon_sharpness",
    "escape",
    "explained",
    "filter_normalized",
    "find_critical_point",
    "gauss_newton",
    "hessian",
    "linear_operator",
    "load",
    "over_subsets",
    "path_between",
    "plane_through",
    "plot_side_by_side",
    "rise_on",
    "slice_1d",
    "slice_2d",
    "slice_path",
    "spectral_density",
    "spectrum",
    "steep_directions",
    "top_eigenvalues",
    "trace",
    "transformed",
]

if TYPE_CHECKING:
    from flatmin import data as data
    from flatmin import networks as networks
    from flatmin.callbacks.sharpness import SharpnessCallback
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
    from flatmin.objective.objective import Objective
    from flatmin.sharpness import AverageCase, Effort, Explained, Rise, Sharpness, SteepDirections
    from flatmin.sharpness.average_case import average_case_sharpness
    from flatmin.sharpness.by_layer import by_layer
    from flatmin.sharpness.effort import effort
    from flatmin.sharpness.epsilon_sharpness import epsilon_sharpness
    from flatmin.sharpness.explained import explained
    from flatmin.sharpness.held_out import rise_on
    from flatmin.sharpness.steep_directions import steep_directions
    from flatmin.symmetries import Transformed, transformed

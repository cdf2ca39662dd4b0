"""Slices of a loss: along directions, in planes, and on the path between two networks."""

from flatmin.landscapes.directions import ThreePointPlane, filter_normalized, plane_through
from flatmin.landscapes.grid import Function
from flatmin.landscapes.paths import curved_path, linear_path, path_between
from flatmin.landscapes.slices import slice_1d, slice_2d, slice_path
from flatmin.landscapes.subsets import SubsetLines, Subsets, over_subsets
from flatmin.landscapes.values import Line, Plane, Slice

__all__ = [
    "Function",
    "Line",
    "Plane",
    "Slice",
    "SubsetLines",
    "Subsets",
    "ThreePointPlane",
    "curved_path",
    "filter_normalized",
    "linear_path",
    "over_subsets",
    "path_between",
    "plane_through",
    "slice_1d",
    "slice_2d",
    "slice_path",
]

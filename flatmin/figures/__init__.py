"""Figures and tables drawn from the tidy tables of an experiment, never from a model."""

from flatmin.figures.curves import training_curves
from flatmin.figures.paths import path, random_line
from flatmin.figures.render import render
from flatmin.figures.sharpness import sharpness_figure
from flatmin.figures.slices import random_plane, three_point_plane
from flatmin.figures.style import house_style
from flatmin.figures.surfaces import random_surface
from flatmin.results.summary_text import summary_table

__all__ = [
    "house_style",
    "path",
    "random_line",
    "random_plane",
    "random_surface",
    "render",
    "sharpness_figure",
    "summary_table",
    "three_point_plane",
    "training_curves",
]

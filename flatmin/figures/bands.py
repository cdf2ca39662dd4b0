"""A quantity of several seeds as one line: their mean, in a band from the lowest to the highest."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from flatmin.figures.captions import seeds_behind


def draw_band(axes: Axes, rows: pd.DataFrame, x: str, y: str, **line: Any) -> None:
    """Draw the mean over seeds and the band from the lowest to the highest seed.

    Args:
        axes: Where to draw.
        rows: One row per place and seed; values that are not finite are left out.
        x: Column of the places.
        y: Column of the values.
        **line: How the line is drawn, its ``color`` included.
    """
    finite = rows[np.isfinite(rows[y])]
    seeds = finite.groupby(x)[y].agg(["mean", "min", "max"])
    axes.fill_between(seeds.index, seeds["min"], seeds["max"], color=line["color"], alpha=0.2, linewidth=0)
    axes.plot(seeds.index, seeds["mean"], **line)


def band_note(rows: pd.DataFrame, *keys: str) -> str:
    """Return what line and band mean and over how many seeds; empty where there is one.

    Args:
        rows: The rows.
        *keys: Columns that tell the places on the lines apart.
    """
    if rows["seed"].nunique() < 2:
        return ""
    return f"Line: mean over {seeds_behind(rows, *keys)}, band: lowest to highest seed"

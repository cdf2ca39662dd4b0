"""Planes as surfaces that can be turned: a page of HTML which needs nothing else, by plotly (extra ``interactive``).

Height and colours are those of `flatmin.figures.surfaces`: linear height with a flat top, the colour on a log scale,
cells that are not finite left open. Pointing at a cell shows its loss as it is.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from flatmin.core.errors import FlatminError
from flatmin.figures.levels import COLORS, Grid
from flatmin.figures.slices import plane_grid

PAGE = "flatmin-surface"
SHADES = 32
TITLE_SIZE, TEXT_SIZE = 16, 11
PANEL_WIDTH, HEIGHT = 560, 640


def available() -> bool:
    """Whether plotly is installed."""
    return find_spec("plotly") is not None


def surface_page(
    panels: Mapping[str, pd.DataFrame], levels: Grid, *, loss: str, title: str = "", facts: Sequence[str] = ()
) -> bytes:
    """A page with planes as surfaces side by side, of one height and one scale of colours.

    Args:
        panels: Planes by their titles: ``alpha``, ``beta`` and ``loss``.
        levels: Rising losses; the first and the last are the ends of the colours, the last is the top.
        loss: What the losses are, with their unit.
        title: What stands above.
        facts: Sentences below.

    Raises:
        FlatminError: If plotly is not installed.
    """
    if not available():
        raise FlatminError('an interactive surface needs plotly: run `pip install "flatmin[interactive]"`.')
    figure = import_module("plotly.subplots").make_subplots(
        cols=len(panels), specs=[[{"type": "surface"}] * len(panels)], subplot_titles=list(panels)
    )
    for column, rows in enumerate(panels.values(), 1):
        figure.add_trace(surface(rows, levels, loss, bar=column == len(panels)), row=1, col=column)
    ground = min(float(levels[0]), 0.0)
    axes = {"xaxis_title": "α", "yaxis_title": "β", "zaxis_title": loss}
    figure.update_scenes(**axes, zaxis_range=[ground, float(levels[-1])], aspectmode="cube")
    below = {
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": -0.02,
        "xanchor": "left",
        "align": "left",
    }
    figure.add_annotation(text="<br>".join(filter(None, facts)), font_size=TEXT_SIZE, yanchor="top", **below)
    figure.update_layout(
        title={"text": title, "font": {"size": TITLE_SIZE}},
        template="plotly_white",
        width=PANEL_WIDTH * max(len(panels), 1) + 120,
        height=HEIGHT,
        margin={"l": 20, "r": 20, "t": 60, "b": 90},
    )
    page: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id=PAGE)
    return page.encode()


def surface(rows: pd.DataFrame, levels: Grid, loss: str, *, bar: bool) -> Any:
    """One plane as a surface, with the bar of the colours where asked."""
    alphas, betas, losses = plane_grid(rows)
    low, top = float(levels[0]), float(levels[-1])
    log = low > 0
    inside = np.where(np.isfinite(losses), np.clip(losses, low, top), np.nan)
    ends = np.log10([low, top]) if log else np.array([low, top])
    shades = sns.color_palette(COLORS, SHADES).as_hex()
    return import_module("plotly.graph_objects").Surface(
        x=alphas,
        y=betas,
        z=np.where(np.isfinite(losses), np.minimum(losses, top), np.nan),
        surfacecolor=np.log10(inside) if log else inside,
        customdata=losses,
        cmin=ends[0],
        cmax=ends[1],
        colorscale=[[place / (SHADES - 1), shade] for place, shade in enumerate(shades)],
        hovertemplate="α %{x:.4g}<br>β %{y:.4g}<br>loss %{customdata:.5g}<extra></extra>",
        showscale=bar,
        colorbar={"title": {"text": f"{loss}<br>(log scale)" if log else loss}, **(powers(*ends) if log else {})},
    )


def powers(low: float, high: float) -> dict[str, Any]:
    """Ticks of a bar whose numbers are logarithms: 1, 3, 10, ... within the ends."""
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    wide = high - low > 3
    values = [factor * 10.0**power for power in exponents for factor in ((1,) if wide else (1, 2, 5))]
    shown = [value for value in values if low <= np.log10(value) <= high]
    return {"tickvals": [float(np.log10(value)) for value in shown], "ticktext": [f"{value:.4g}" for value in shown]}

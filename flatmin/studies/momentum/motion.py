"""The ball rolling, and descents beside the saddle, as animations."""

from typing import Any

import numpy as np
import pandas as pd

from flatmin.figures.animations import Arrow, Motion, Track, steps_shown
from flatmin.figures.style import PAGE_WIDTH, blank, house_style
from flatmin.results import Tables
from flatmin.studies.momentum.ball_figure import BALLS, VECTORS, settled, spans, valley, vector_legend
from flatmin.studies.toy.figure import landscape
from flatmin.studies.toy.found import METHOD_NAMES

MOST = 100
SIZES = 12.0, 8.0
"""Of the point without momentum and of that with, which may be on it."""
METHOD_COLORS = {"descent": "#0B4F9E", "momentum": "#EE7F2D"}


def at_steps(way: pd.DataFrame, steps: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pd.DataFrame:
    """The rows of these steps; where a way has ended, its last one."""
    return way.iloc[np.minimum(steps, len(way) - 1)].reset_index(drop=True)


def ball_motion(tables: Tables) -> Motion:
    """The balls on the loss, with what the movement of the one with momentum is made of."""
    rows, asked = tables.frames["momentum_ball"], tables.experiment["ball"]
    shown = rows[rows["momentum"].isin([0.0, asked["momentum"]])]
    steps = steps_shown(int(settled(shown)) + 1, MOST)
    with house_style():
        figure = blank(PAGE_WIDTH, 3.6)
        axes = figure.subplots()
        valley(axes)
        names = {0.0: "gradient descent", asked["momentum"]: f"momentum {asked['momentum']:g}"}
        colors = dict(zip(names, (BALLS[0], BALLS[-1]), strict=False))
        balls = [axes.plot([], [], "o", color=colors[key], label=name)[0] for key, name in names.items()]
        axes.legend(handles=[*balls, *vector_legend()], loc="upper right", bbox_to_anchor=(0.93, 1))
        figure.suptitle("A ball with and without momentum", x=0.012, ha="left")
    ways = {momentum: at_steps(way, steps) for momentum, way in shown.groupby("momentum")}
    strong = ways[asked["momentum"]]
    arrows = [Arrow(axes, *spans(strong, place), color, dashed) for place, (_, color, dashed, _) in enumerate(VECTORS)]
    captions = [
        f"step {step}: " + ", ".join(f"{name} at {ways[key]['w'][index]:.2f}" for key, name in names.items())
        for index, step in enumerate(steps)
    ]
    tracks = [
        Track(axes, ways[key]["w"], ways[key]["loss"], colors[key], way=False, size=size)
        for key, size in zip(names, SIZES, strict=False)
    ]
    return Motion(figure, captions, tracks, arrows)


def saddle_motion(tables: Tables) -> Motion:
    """Descents from the line that leads into the saddle, and from a little beside, with and without momentum."""
    rows, asked = tables.frames["momentum_saddle"], tables.experiment["saddle"]
    columns = sorted(rows["perturbation"].unique())
    columns = [columns[0], columns[len(columns) // 2]] if len(columns) > 1 else columns
    shown = rows[rows["perturbation"].isin(columns)]
    last = shown.loc[(shown["loss"] > 1e-4) & (shown["perturbation"] > 0), "step"].max()
    steps = steps_shown(int(last if last > 0 else 60) + 10, 2 * MOST)
    with house_style():
        figure = blank(PAGE_WIDTH, 3.9)
        panels = figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, moved in zip(panels, columns, strict=True):
            landscape(axes)
            axes.set_title(f"start moved by {moved:g}" if moved else "start on the line w₁ = –w₂")
        handles = [
            panels[0].plot([], [], "o", color=color, label=METHOD_NAMES[name])[0]
            for name, color in METHOD_COLORS.items()
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2)
        figure.suptitle("Momentum at a saddle", x=0.012, ha="left")
    sizes = dict(zip(METHOD_COLORS, SIZES, strict=True))
    ways: dict[Any, Any] = {
        key: at_steps(way, steps) for key, way in shown.groupby(["perturbation", "method"], sort=False)
    }
    tracks = [
        Track(panels[columns.index(moved)], way["w1"], way["w2"], METHOD_COLORS[method], size=sizes[method])
        for (moved, method), way in ways.items()
    ]
    return Motion(figure, [f"step {step} of {asked['steps']}" for step in steps], tracks)

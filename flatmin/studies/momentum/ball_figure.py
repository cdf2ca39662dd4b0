"""The ball of Fig. 3.17: what its movement is made of, where it goes, and from which momentum on it crosses."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.studies.momentum.found import marks
from flatmin.studies.momentum.valley import FORMULA, HUMP, loss

PUSH, LAST, MOVEMENT = "#D1342F", "#2F6FD1", "#111111"
"""The book's colours: the negative gradient red, the last movement blue."""
VECTORS = (
    ("push", PUSH, True, "negative gradient, –η g"),
    ("last", LAST, True, "share of the last movement, λ m"),
    ("movement", MOVEMENT, False, "movement, their sum"),
)
BALLS = ("#0B4F9E", "#1B7F69", "#EE7F2D")
LONGER, APART = 2.0, 0.24
"""By what factor vectors are drawn longer, and how far above each other, in units of the loss."""
BESIDE = {"local minimum": ("right", 0.0), "uphill": ("left", 0.95)}
"""Where the names of those near each other stand, and how much higher their vectors, in units of the loss."""
VIEW = (-0.7, 13.2)


@styled
def ball(tables: Tables) -> Figure:
    """Draw the loss with the vectors at the marked steps above; the places and the sweep below."""
    rows, asked = tables.frames["momentum_ball"], tables.experiment["ball"]
    figure = blank(PAGE_WIDTH, 5.2)
    panels = figure.subplot_mosaic([["loss", "loss"], ["ways", "sweep"]], height_ratios=[1.25, 1])
    valley(panels["loss"])
    way = rows[rows["momentum"] == asked["momentum"]]
    for name, row in marks(way):
        side, lift = BESIDE.get(name, ("center", 0.0))
        vectors(panels["loss"], row, lift)
        place = row["w"], row["loss"]
        panels["loss"].annotate(name, place, (0, -8), textcoords="offset points", ha=side, va="top", fontsize=7.5)
        panels["loss"].plot(row["w"], row["loss"], "o", color=BALLS[-1], markersize=6, markeredgecolor="white")
    panels["loss"].set_title(f"Momentum {asked['momentum']:g}: what a movement is made of")
    panels["loss"].legend(handles=vector_legend(), loc="upper right", bbox_to_anchor=(0.93, 1))
    ways(panels["ways"], rows)
    sweep(panels["sweep"], tables)
    figure.suptitle("A ball on a slope, a plateau, a local minimum and a hump", x=0.012, ha="left")
    facts = [
        FORMULA,
        f"Learning rate η = {asked['learning_rate']:g}, from w\u00a0=\u00a0{asked['start']:g}",
        f"Vectors are drawn {LONGER:g} times as long as they are, along w",
        f"Dotted: the top of the hump, w = {HUMP:g}. Effective rate: η / (1 – λ); balls that leave are not drawn",
    ]
    write_footer(figure, facts)
    return figure


def valley(axes: Axes) -> None:
    """Draw the loss."""
    w = np.linspace(*VIEW, 800)
    axes.plot(w, loss(w), color="0.35", linewidth=1.6)
    axes.fill_between(w, loss(w), -2.6, color="0.93", linewidth=0)
    axes.set(xlim=VIEW, ylim=(-2.4, 2.9), xlabel="w", ylabel="loss L(w)")


def spans(row: "pd.Series[float] | pd.DataFrame", place: int, lift: float = 0.0) -> tuple[Any, Any]:
    """Where a vector of a ball begins and ends, one above the other; each (..., 2)."""
    name = VECTORS[place][0]
    height = row["loss"] + lift + APART * (place + 1.2)
    tail = np.stack([row["w"], height], axis=-1)
    return tail, tail + np.stack([LONGER * row[name], 0 * row["loss"]], axis=-1)


def vectors(axes: Axes, row: "pd.Series[float]", lift: float) -> None:
    """Draw what a movement is made of, above the ball."""
    axes.plot([row["w"]] * 2, [row["loss"], row["loss"] + lift + APART * 3.6], color="0.75", linewidth=0.6, zorder=1)
    for place, (_, color, dashed, _) in enumerate(VECTORS):
        tail, head = spans(row, place, lift)
        look: dict[str, Any] = {"arrowstyle": "-|>", "color": color, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
        look |= {"linestyle": (0, (2, 1)) if dashed else "-", "mutation_scale": 7}
        axes.annotate("", head, tail, arrowprops=look)


def vector_legend() -> list[Line2D]:
    """What the arrows are."""
    return [
        Line2D([], [], color=color, linewidth=1.3, linestyle="--" if dashed else "-", label=words)
        for _, color, dashed, words in VECTORS
    ]


def ways(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw where each ball is, step by step."""
    axes.axhline(HUMP, color="0.4", linewidth=0.8, linestyle=":")
    for color, (momentum, way) in zip(BALLS, rows.groupby("momentum", sort=True), strict=False):
        name = "gradient descent" if momentum == 0 else f"momentum {momentum:g}"
        axes.plot(way["step"], way["w"], color=color, label=name)
    axes.set(xlim=(0, settled(rows)), xlabel="step", ylabel="w", title="The ways")
    axes.legend(loc="lower right")


def settled(rows: pd.DataFrame) -> float:
    """After how many steps the last ball is within 0.05 of where it ends."""
    moving = rows["w"] - rows.groupby("momentum")["w"].transform("last")
    return float(rows.loc[moving.abs() > 0.05, "step"].max()) if (moving.abs() > 0.05).any() else 1.0


def sweep(axes: Axes, tables: Tables) -> None:
    """Draw where each momentum ends, and gradient descent at its effective rate."""
    rows = tables.frames["momentum_sweep"]
    axes.axhline(HUMP, color="0.4", linewidth=0.8, linestyle=":")
    axes.plot(
        rows["momentum"],
        rows["descent_end"],
        "x",
        color=BALLS[0],
        markersize=3.5,
        label="gradient descent, effective rate",
    )
    axes.plot(rows["momentum"], rows["end"], "o", color=BALLS[-1], markersize=3, label="momentum λ")
    high = rows["critical_high"].iloc[0]
    if np.isfinite(high):
        axes.annotate(f"λ = {high:.4f}", (high, HUMP), (-6, 10), textcoords="offset points", ha="right", fontsize=7.5)
        axes.axvline(high, color=BALLS[-1], linewidth=0.7, linestyle=":")
    axes.set(xlabel="momentum λ", ylabel="w at the end", title="Which momenta cross", ylim=(4.5, 12.5))
    axes.legend(loc="upper left")

"""The loss and the largest eigenvalue along training, a column for each kind of optimiser."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.edge_of_stability.found import NAMED

COLORS = ("#0B4F9E", "#EE7F2D", "#1B7F69", "#C23B75", "#6A3D9A")
MOMENTUM = ("heavy_ball", "nesterov")
NOTE = (
    "Dashed, in the colour of the curve: the curvature that the optimiser stands, 2/η for gradient descent, (2 + 2β)/η "
    "for the heavy ball, (2 + 2β)/((1 + 2β)η) for Nesterov, (2 + 2β₁)/((1 – β₁)η) for Adam, whose Hessian is that "
    "preconditioned by its scales"
)


@styled
def edge_of_stability(tables: Tables) -> Figure:
    """Draw a column of two panels for each kind of optimiser.

    Raises:
        ResultsError: If nothing was trained.
    """
    rows = tables.frames["edge_of_stability"]
    columns = [(title, part) for title, part in columns_of(rows) if len(part)]
    if not columns:
        raise ResultsError("the table `edge_of_stability` is empty, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH if len(columns) > 2 else COLUMN_WIDTH, 4.8)
    panels = figure.subplots(2, len(columns), squeeze=False, sharex=True, height_ratios=[1, 1.45])
    beyond = sum(column(panels[0][index], panels[1][index], *named) for index, named in enumerate(columns))
    panels[0][0].set_ylabel("loss, log axis")
    panels[1][0].set_ylabel("largest eigenvalue, log axis")
    experiment = tables.experiment
    data, shown = experiment["data"]["name"], f"{int(rows['batch_size'].max()):,}"
    figure.suptitle("The edge of stability", x=0.012, ha="left")
    facts = [
        f"First {shown} training examples of {DATA_NAMES.get(data, data)}, tanh network {experiment['width']} wide",
        f"Loss: {experiment['loss'].replace('_', ' ')}" + ", halved" * (experiment["loss"] == "squared_error"),
        f"Seeds: {', '.join(f'{seed:g}' for seed in sorted(rows['seed'].unique()))}",
        NOTE,
        f"{counted(beyond, 'eigenvalue')} beyond the axis" if beyond else "",
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]
    write_footer(figure, facts)
    return figure


def columns_of(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The trainings of each column; that of small batches has the full batches of their learning rates beside them."""
    whole = rows["batch_size"] == rows["batch_size"].max()
    small = rows[~whole]
    beside = whole & rows["optimizer"].isin(small["optimizer"]) & rows["learning_rate"].isin(small["learning_rate"])
    return [
        ("gradient descent", rows[whole & (rows["optimizer"] == "descent")]),
        ("momentum", rows[whole & rows["optimizer"].isin(MOMENTUM)]),
        ("Adam", rows[whole & (rows["optimizer"] == "adam")]),
        (f"batches{rate_of(small)}", rows[~whole | beside] if len(small) else small),
    ]


def rate_of(rows: pd.DataFrame) -> str:
    """Their learning rate, if they have one."""
    rates = rows["learning_rate"].unique()
    return f", η = {rates[0]:g}" if len(rates) == 1 else ""


def column(losses: Axes, eigenvalues: Axes, title: str, rows: pd.DataFrame) -> int:
    """Draw the trainings of one column, and return how many eigenvalues lie beyond the axis."""
    handles, told = [], [name for name in ("batch_size", "learning_rate") if rows[name].nunique() > 1]
    for index, (_, way) in enumerate(rows.groupby(NAMED, sort=False)):
        color = COLORS[index % len(COLORS)]
        line: dict[str, Any] = {"color": color, "linewidth": 0.9}
        for _, one in way.groupby("seed"):
            losses.plot(one["step"], one["loss"], **line)
            eigenvalues.plot(one["step"], one["effective"], **line)
        first = way.iloc[0]
        eigenvalues.axhline(first["threshold"], color=color, linewidth=1.0, linestyle=(0, (4, 2)))
        handles.append(Line2D([], [], color=color, linewidth=1.6, label=label(first, told)))
    for axes in (losses, eigenvalues):
        axes.set_yscale("log")
        few_log_ticks(axes.yaxis, crowded=100)
    seen = pd.concat([rows["effective"], rows["threshold"]]).dropna()
    seen = seen[np.isfinite(seen) & (seen > 0)]
    if len(seen):
        high = 1.5 * seen.quantile(0.998)
        eigenvalues.set_ylim(max(seen.min() / 1.3, high / 1e3), high)
    eigenvalues.set(xlabel="step")
    key = losses.legend(
        handles=handles, title=title, alignment="left", loc="lower left", bbox_to_anchor=(-0.1, 1), handlelength=1.2
    )
    key.get_title().set(fontweight="bold", fontsize=8.5)
    return int((~rows["effective"].dropna().between(*eigenvalues.get_ylim())).sum())


def label(row: "pd.Series[Any]", told: list[str]) -> str:
    """What tells a training from the others of its column."""
    kind = {"heavy_ball": "heavy ball, ", "nesterov": "Nesterov, "}.get(str(row["optimizer"]), "")
    batch = f"B = {row['batch_size']:,.0f}" if "batch_size" in told else ""
    rate = f"{kind}η = {row['learning_rate']:g}" if "learning_rate" in told or not batch else ""
    return ", ".join(filter(None, [batch, rate]))

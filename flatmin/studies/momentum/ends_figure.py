"""Where a real network ends with each momentum, at one learning rate and at one effective rate."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.intervals import NOT_NEGATIVE, PERCENT, of_mean
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.momentum.settings import EFFECTIVE, FIXED

PANELS = {
    "train_loss": "training loss",
    "test_error": "test error, %",
    "top_eigenvalue": "largest eigenvalue",
    "distance": "distance from start",
}
LOOKS: dict[str, Any] = {
    FIXED: {"color": "#EE7F2D", "marker": "s", "label": "one learning rate η"},
    EFFECTIVE: {"color": "#0B4F9E", "marker": "o", "label": "one effective rate η / (1 – λ)"},
}
ASIDE = {FIXED: 0.13, EFFECTIVE: -0.13}


@styled
def ends(tables: Tables) -> Figure:
    """Draw a row of panels for the end and one for where the training loss is first below the target."""
    rows, asked = tables.frames["momentum_ends"], tables.experiment["ends"]
    rows = rows.assign(test_error=100 * (1 - rows["test_accuracy"]))
    none = rows[rows["momentum"] == 0]
    rows = pd.concat([rows, none.assign(equal=EFFECTIVE)])
    whens = [when for when in ("end", "target") if (rows["when"] == when).any()]
    figure = blank(PAGE_WIDTH, 2.1 * len(whens) + 0.4)
    panels = figure.subplots(len(whens), len(PANELS), squeeze=False, sharex=True)
    for line, when in zip(panels, whens, strict=True):
        for axes, quantity in zip(line, PANELS, strict=True):
            panel(axes, rows[rows["when"] == when], quantity)
        head = "At the end" if when == "end" else f"Where the training loss is first below {asked['target']:g}"
        line[0].set_title(head)
    for axes in panels[-1]:
        axes.set_xlabel("momentum λ")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=2, title=TITLE, alignment="left"
    )
    figure.legends[0].get_title().set(fontsize=9.5, fontweight="bold")
    data = tables.experiment["data"]["name"]
    lost = int(rows.loc[rows["when"] == "end", "train_loss"].isna().sum())
    facts = [
        f"Tanh network on {DATA_NAMES.get(data, data)}, batches of {asked['batch_size']}, {asked['epochs']} epochs, "
        f"rate {asked['learning_rate']:g}",
        f"Small: {counted(rows['seed'].nunique(), 'seed')}; large: their mean with its 95 % t interval, none where "
        "fewer than two got there. Eigenvalue: of the Hessian of the training loss. All vertical axes are logarithmic",
        f"{lost} diverged and are not drawn" if lost else "",
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]
    write_footer(figure, facts)
    return figure


TITLE = "Where a real network ends with momentum"


def panel(axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw one quantity against the momentum."""
    momenta = sorted(rows["momentum"].unique())
    bounds = PERCENT if quantity == "test_error" else NOT_NEGATIVE
    for equal, look in LOOKS.items():
        part = rows[rows["equal"] == equal]
        for momentum, way in part.groupby("momentum"):
            place = momenta.index(momentum) + ASIDE[equal]
            values = way.set_index("seed")[quantity].dropna()
            found = of_mean(values, bounds=bounds)
            axes.plot([place] * len(values), values, ".", color=look["color"], markersize=2.5, alpha=0.6)
            if found.exists:
                axes.plot([place] * 2, [found.low, found.high], color=look["color"], linewidth=1.2)
            label = look["label"] if momentum == momenta[0] else None
            axes.plot(
                place,
                found.center,
                color=look["color"],
                marker=look["marker"],
                markersize=4.5,
                linestyle="none",
                label=label,
            )
    axes.set_xticks(range(len(momenta)), [f"{value:g}" for value in momenta])
    axes.set(ylabel=PANELS[quantity], xlim=(-0.5, len(momenta) - 0.5))
    axes.set_yscale("log")
    few_log_ticks(axes.yaxis, crowded=100)

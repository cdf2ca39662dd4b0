"""Panels of a Weights & Biases report over the runs that mirror a study.

``wr`` is everywhere the module that `library` returns.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flatmin.core.errors import FlatminError
from flatmin.results import Tables
from flatmin.results.summary_text import QUANTITIES
from flatmin.results.wandb_keys import figure_key, keyed_means, shown_frames
from flatmin.results.words import BATCH_NORM_NAMES, LOSS, SEARCH_NAMES, SPACES

PANEL_WIDTH = 24
MISSING = "a W&B report needs the package wandb-workspaces; pip install 'flatmin[reports]'."
CURVE_AXES = {
    "train_loss": LOSS,
    "test_loss": LOSS,
    "train_accuracy": "accuracy",
    "test_accuracy": "accuracy",
}


def library() -> Any:
    """The module of wandb-workspaces for reports, whose import warns of its own old validators.

    Raises:
        FlatminError: If the package is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise FlatminError(MISSING) from error
    return reports


def curves(wr: Any) -> list[Any]:
    """Loss and accuracy against the epoch: for each way of training the mean, shaded from lowest to highest seed."""
    return [
        wr.LinePlot(
            title=key.replace("_", " "),
            x="epoch",
            y=[key],
            log_y=axis == LOSS,
            title_x="epoch",
            title_y=axis,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            layout=wr.Layout(w=PANEL_WIDTH // 2, h=8),
        )
        for key, axis in CURVE_AXES.items()
    ]


def bars(wr: Any, tables: Tables) -> list[Any]:
    """The means over seeds as bars, a panel for each accuracy and for each search, of the study's newest run."""
    means = keyed_means(tables)
    groups = means.groupby(["quantity", "space", "method", "batch_norm"], dropna=False, sort=False)
    return [
        wr.BarPlot(
            title=bar_title(rows.iloc[0]),
            metrics=(keys := list(dict.fromkeys(rows["key"]))),
            max_runs_to_show=1,
            max_bars_to_show=len(keys),
            layout=wr.Layout(w=PANEL_WIDTH // 2, h=4 + len(keys) // 2),
        )
        for _, rows in groups
    ]


def bar_title(row: Any) -> str:
    """The quantity of a row of the summary, with the setting of its search."""
    if row["quantity"] != "sharpness":
        return QUANTITIES[row["quantity"]].removesuffix(" (%)")
    setting = [
        SPACES.get(row["space"], row["space"]),
        SEARCH_NAMES.get(row["method"], row["method"]),
        BATCH_NORM_NAMES.get(row["batch_norm"], row["batch_norm"]),
    ]
    return f"sharpness (%): {', '.join(setting)}"


def frames(wr: Any, tables: Tables) -> list[Any]:
    """The tables in the study's run, the shortest first."""
    shown = sorted(shown_frames(tables).items(), key=lambda item: len(item[1]))
    return [wr.WeavePanelSummaryTable(table_name=key, layout=wr.Layout(w=PANEL_WIDTH, h=10)) for key, _ in shown]


def images(wr: Any, figures: Iterable[Path]) -> list[Any]:
    """The figures in the study's run, a panel each."""
    layout = {"num_columns": 1, "mode": "gallery", "gallery_axis": "run"}
    return [
        wr.MediaBrowser(
            title=path.stem, media_keys=[figure_key(path.stem)], layout=wr.Layout(w=PANEL_WIDTH // 2, h=12), **layout
        )
        for path in figures
    ]

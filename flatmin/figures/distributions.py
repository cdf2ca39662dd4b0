"""The sharpness in random subspaces by the distribution of the entries of A, which the paper does not state."""

import pandas as pd
from matplotlib.figure import Figure

from flatmin.figures.captions import footer
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.sharpness import dots_note, draw_panel, limits
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, REGIMES, blank, select, styled
from flatmin.results import Tables
from flatmin.results.searches import searches_note, seed_means
from flatmin.results.statistics import of_minima
from flatmin.results.words import BATCH_NORM_NAMES


@styled
def distributions(tables: Tables, *, network: str, data: str) -> Figure:
    """Draw the sharpness of both minima in random subspaces for every distribution of A.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.

    Returns:
        The figure: a row per reading of BatchNorm, a column per epsilon, a pair of columns of dots per method and
        distribution.

    Raises:
        ResultsError: If there are no random subspaces of several distributions.
    """
    rows = select(distribution_rows(tables), "sharpness", network=network, data=data)
    seeds = seed_means(rows, "distribution")
    readings, epsilons = list(rows["batch_norm"].unique()), sorted(set(rows["epsilon"]), reverse=True)
    figure = blank(PAGE_WIDTH if len(epsilons) > 1 else COLUMN_WIDTH, 0.6 + 2.3 * len(readings))
    panels = figure.subplots(len(readings), len(epsilons), squeeze=False, sharey="row")
    for line, reading in zip(panels, readings, strict=True):
        here = seeds[seeds["batch_norm"] == reading]
        line[0].set(yscale="log", ylim=limits(here["sharpness"]), ylabel="sharpness (%), log axis")
        for axes, epsilon in zip(line, epsilons, strict=True):
            axes.set_title(f"{BATCH_NORM_NAMES.get(reading, reading)}, ε = {epsilon:g}")
            draw_panel(axes, here[here["epsilon"] == epsilon], "distribution")
    handles = regime_handles(tables, rows, network, data)
    for handle in handles:
        handle.set(linestyle="", markersize=4.5)
    heading(figure, "sharpness by the distribution of A", network, data, handles)
    footer(figure, tables, "sharpness", rows, dots_note(seeds, "distribution"), *searches_note(rows))
    return figure


def distribution_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches of the pair in random subspaces, where a network has several distributions of A."""
    rows = of_minima(tables.sharpness)
    rows = rows[(rows["space"] == "random") & rows["regime"].isin(REGIMES)]
    several = rows.groupby(["network", "data"])["distribution"].transform("nunique") > 1
    return rows[several]

"""The footer of a figure: the data, seeds, epochs, BatchNorm reading and examples behind it, and what was reduced."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flatmin.figures.style import plain
from flatmin.results import Tables
from flatmin.results.remarks import concerning, remarks
from flatmin.results.words import BATCH_NORM_NAMES, DATA_NAMES, counted, span

FOOTER_LINE = 0.1
FACTS_PER_INCH = 21
"""Letters of a footer in an inch."""
BATCH_NORM_TICKS = {
    **{name: words.replace(" ", "\n") for name, words in BATCH_NORM_NAMES.items()},
    "reestimate": "re-est.\nstatistics",
    "interpolated": "interp.\nstatistics",
}


def footer(figure: Figure, tables: Tables, table: str, rows: pd.DataFrame, *notes: str) -> None:
    """Write what the figure rests on below it: data, seeds, epochs, BatchNorm reading, examples, reductions.

    The figure grows by the footer's lines, so that a long footer takes nothing from the panels.

    Args:
        figure: The figure, with the constrained layout.
        tables: All tables, for the epochs and the provenance.
        table: Name of the table the rows come from.
        rows: The plotted rows.
        *notes: Further sentences, such as how many cells are not finite; empty ones are skipped.
    """
    facts = [
        "Data: " + ", ".join(DATA_NAMES.get(name, name) for name in rows["data"].unique()),
        seeds_fact(rows),
        epochs_fact(tables, rows),
        batch_norm_fact(rows),
        examples_fact(tables, table, rows),
        *notes,
        *concerning(remarks(tables.provenance, "reduced", "cautions"), table),
    ]
    write_footer(figure, facts)


def write_footer(figure: Figure, facts: Sequence[str]) -> None:
    """Write sentences below a figure, which grows by their lines; empty ones are skipped.

    Args:
        figure: The figure, with the constrained layout.
        facts: The sentences, with or without their full stops.
    """
    text = plain(" ".join(fact.rstrip(".") + "." for fact in facts if fact))
    lines = textwrap.wrap(text, width=int(FACTS_PER_INCH * figure.get_figwidth()))
    figure.set_figheight(figure.get_figheight() + FOOTER_LINE * len(lines))
    figure.supxlabel("\n".join(lines), x=0.012, ha="left", fontsize=6, color="0.35")


def seeds_fact(rows: pd.DataFrame) -> str:
    """Return how many seeds the rows have, or which one."""
    seeds = rows["seed"].unique()
    return counted(len(seeds), "seed") if len(seeds) > 1 else f"Seed {seeds[0]}"


def seeds_behind(rows: pd.DataFrame, *keys: str) -> str:
    """Return over how many seeds what is drawn at each place is taken, such as ``1–3 seeds``.

    Args:
        rows: The rows.
        *keys: Columns that tell the places apart.
    """
    return span(rows.groupby(list(keys), dropna=False)["seed"].nunique(), "seed")


def batch_norm_fact(rows: pd.DataFrame) -> str:
    """Return which reading of BatchNorm the rows used."""
    if "batch_norm" not in rows:
        return ""
    return "BatchNorm: " + ", ".join(BATCH_NORM_NAMES.get(name, name) for name in rows["batch_norm"].unique())


def examples_fact(tables: Tables, table: str, rows: pd.DataFrame) -> str:
    """Return on how many examples the losses were taken, from the rows or else from the provenance."""
    on_test = "split" in rows and (rows["split"] == "test").all()
    stated = pd.Series([(tables.provenance.get("examples") or {}).get(f"{table}_test" if on_test else table)])
    return span(rows.get("examples", stated).dropna(), "example")


def epochs_fact(tables: Tables, rows: pd.DataFrame) -> str:
    """Return how long the networks behind the rows were trained."""
    minima = tables.minima
    same = minima["network"].isin(rows["network"]) & minima["data"].isin(rows["data"])
    return span(minima.loc[same, "epochs"].dropna(), "epoch")


def non_finite_note(rows: pd.DataFrame, noun: str, how: str) -> str:
    """Return how many losses are not finite and how they are shown; empty where all are."""
    lost = int((~np.isfinite(rows["loss"])).sum())
    return f"{lost} of {counted(len(rows), noun)} not finite, {how}" if lost else ""

"""Means and ratios of the measures that have no tables of their own making: by rule, from their declaration."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flatmin.measures import Measure as Measure
from flatmin.measures import measures
from flatmin.results.statistics import PAIR, RUN, of_minima
from flatmin.results.tables import Tables

READING_COLUMNS = ["batch_norm", "examples"]


def by_rule() -> list[Measure[Any]]:
    """The measures that are summarised, drawn and reported by rule."""
    return [measure for measure in measures().values() if measure.by_rule]


def setting_columns(measure: Measure[Any]) -> list[str]:
    """What tells the numbers of one network apart."""
    return [*measure.by, *READING_COLUMNS]


def summarised(tables: Tables, measure: Measure[Any]) -> pd.DataFrame:
    """The rows of a measure at the minima that a summary shows."""
    rows = of_minima(tables.frames[measure.name])
    for name, values in measure.summarised.items():
        rows = rows[rows[name].isin(values)]
    return rows


def means(tables: Tables, measure: Measure[Any]) -> pd.DataFrame:
    """Mean and sample standard deviation over seeds of a measure at the minima.

    Args:
        tables: An experiment's tables.
        measure: The measure.

    Returns:
        One row per network, data set, regime and setting, with `mean`, `std` and `seeds`.
    """
    keys = [*RUN, *setting_columns(measure)]
    rows = summarised(tables, measure)
    each = rows.groupby([*keys, "seed"], dropna=False, sort=False)[measure.value].mean().reset_index()
    spread = each.groupby(keys, dropna=False, sort=False)[measure.value].agg(["mean", "std", "count"])
    return spread.rename(columns={"count": "seeds"}).reset_index()


def pairs(tables: Tables, measure: Measure[Any]) -> pd.DataFrame:
    """A measure at the small-batch and the large-batch minimum of each seed.

    Returns:
        One row per network, data set, setting and seed with `small_batch` and `large_batch`; NaN where one is missing.
    """
    keys = ["network", "data", *setting_columns(measure), "seed"]
    rows = summarised(tables, measure)
    wide = rows.pivot_table(index=keys, columns="regime", values=measure.value, dropna=False, sort=False)
    return wide.reindex(columns=[*PAIR]).astype("float64").dropna(how="all").reset_index()


def in_words(measure: Measure[Any], row: Any) -> str:
    """A setting in words, such as ``sigma 0.01, relative``."""
    told = [(name, row[name]) for name in measure.by]
    return ", ".join(value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}" for name, value in told)


def keyed(tables: Tables) -> Iterator[tuple[str, float]]:
    """The means under keys such as ``large_batch/average_case/sigma 0.01/relative/batch``."""
    for measure in by_rule():
        for row in means(tables, measure).to_dict("records"):
            parts = [row["regime"], measure.name, *in_words(measure, row).split(", "), row["batch_norm"]]
            yield "/".join(str(part) for part in parts if part), float(row["mean"])

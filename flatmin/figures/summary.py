"""The summary of an experiment as one table of text: for the terminal and for LaTeX."""

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from flatmin.core.errors import ResultsError
from flatmin.figures.sharpness import SETTING, setting_name
from flatmin.figures.style import DATA_NAMES
from flatmin.results import Tables, ratios, summary

QUANTITIES = {"test_accuracy": "test accuracy (%)", "train_accuracy": "train accuracy (%)"}
COLUMNS = ["network", "data", "quantity", "small batch", "large batch", "ratio", "seeds"]
MEAN = ["regime", "mean", "std"]


def summary_table(tables: Tables) -> pd.DataFrame:
    """Return the means, spreads and ratios of an experiment as text, one row per quantity.

    Args:
        tables: The results.

    Returns:
        The columns network, data, quantity, small batch and large batch (mean ± sample standard deviation over
        seeds), ratio (large over small, with the range of the single seeds) and seeds.

    Raises:
        ResultsError: If there are neither minima nor sharpness.
    """
    means = summary(tables)
    if means.empty:
        raise ResultsError("nothing to summarise: the tables `minima` and `sharpness` are empty.")
    keys = ["network", "data", "space", "epsilon", *SETTING]
    joined = means.merge(ratios(tables), how="left", on=keys, suffixes=("", "_pairs"))
    groups = joined.groupby(["quantity", *keys], sort=False, dropna=False)
    return pd.DataFrame([line(group, tables) for _, group in groups], columns=COLUMNS)


def line(group: pd.DataFrame, tables: Tables) -> list[str]:
    """Return one row of the table from the rows of both regimes."""
    first = group.iloc[0]
    if first["quantity"] == "sharpness":
        name = sharpness_name(first, tables)
        cells = {row.regime: plus_minus(row.mean, row.std) for row in group[MEAN].itertuples()}
    else:
        name = QUANTITIES[first["quantity"]]
        cells = {row.regime: plus_minus(100 * row.mean, 100 * row.std, 2) for row in group[MEAN].itertuples()}
    values = [cells.get("small_batch", "–"), cells.get("large_batch", "–")]
    seeds = ", ".join(str(number) for number in dict.fromkeys(group["seeds"]))
    return [first["network"], first["data"], name, *values, ratio_text(first), seeds]


def sharpness_name(setting: "pd.Series[object]", tables: Tables) -> str:
    """Return the name of a sharpness: space, epsilon, method and reading of BatchNorm."""
    label = setting_name(setting, tables.sharpness).replace("\n", ", ")
    return f"sharpness ({setting['space']}, {setting['epsilon']:g}, {label})"


def plus_minus(mean: float, std: float, digits: int | None = None) -> str:
    """Return a mean with its standard deviation; one seed has no deviation.

    Args:
        mean: The mean.
        std: The standard deviation, or NaN.
        digits: Decimal places of both; those that give the mean three significant digits unless given.

    Returns:
        The text.

    Example:
        >>> plus_minus(707.23, 43.04), plus_minus(0.1142, 0.0031), plus_minus(80.0, float("nan"), 2)
        ('707 ± 43', '0.114 ± 0.003', '80.00')
    """
    if not np.isfinite(mean):
        return "–" if np.isnan(mean) else "∞"
    magnitude = int(np.floor(np.log10(abs(mean)))) if mean else 0
    form = ",.3g" if magnitude < -3 else f",.{max(0, 2 - magnitude) if digits is None else digits}f"
    return f"{mean:{form}}" if np.isnan(std) else f"{mean:{form}} ± {std:{form}}"


def ratio_text(row: "pd.Series[float]") -> str:
    """Return the ratio of the means with the range over single seeds; a dash where there is none."""
    if not np.isfinite(row["ratio"]):
        return "–"
    spread = f" [{row['lowest']:.3g}, {row['highest']:.3g}]" if row["seeds_pairs"] > 1 else ""
    return f"{row['ratio']:.3g}{spread}"


def terminal_tables(frame: pd.DataFrame) -> list[Table]:
    """Return the summary for the terminal, one table per network and data set."""
    tables = []
    for (network, data), rows in frame.groupby(["network", "data"], sort=False):
        table = Table(title=f"{network} on {DATA_NAMES.get(data, data)}", box=SIMPLE)
        table.title_justify, table.title_style = "left", "bold"
        for column in COLUMNS[2:]:
            name = column == "quantity"
            table.add_column(column, justify="left" if name else "right", no_wrap=not name)
        for row in rows[COLUMNS[2:]].itertuples(index=False):
            table.add_row(*row)
        tables.append(table)
    return tables

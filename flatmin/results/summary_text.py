"""The summary of an experiment as one table of text: for the terminal and for LaTeX."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from flatmin.core.errors import ResultsError
from flatmin.results import Tables, ratios, summary
from flatmin.results.measured import by_rule, in_words, means, pairs, setting_columns
from flatmin.results.searches import TOLD_BY, pair_rows, with_standard_a
from flatmin.results.statistics import DIVERGED, PAIR
from flatmin.results.words import DATA_NAMES, SEARCHES, SPACES, counted, significant

QUANTITIES = {
    "test_accuracy": "test accuracy (%)",
    "train_accuracy": "train accuracy (%)",
    "test_loss": "test loss",
    "train_loss": "train loss",
}
SHORT = {
    "batch": "batch stats",
    "running": "running avg.",
    "reestimate": "re-est.",
    "interpolated": "interp.",
}
"""The readings of BatchNorm in words that fit a terminal of 80 columns."""
VALUES = ["small batch", "large batch", "ratio", "seeds"]
TEXT_COLUMNS = ["network", "data", "quantity", "setting", *VALUES]
MeanAndSpread = tuple[float, float]


def nothing_left(tables: Tables) -> str:
    """Why there is nothing to summarise where every network diverged; nothing where one did not."""
    ends = tables.minima["status"]
    if ends.empty or not (ends == DIVERGED).all():
        return ""
    all_of_them = "the network" if len(ends) == 1 else f"all {counted(len(ends), 'network')}"
    return f"{all_of_them} diverged: the loss was no longer finite; take a smaller training.learning_rate."


def summary_table(tables: Tables) -> pd.DataFrame:
    """Return the means, spreads and ratios of an experiment as text, one row per quantity.

    Args:
        tables: The results.

    Returns:
        The columns network, data, quantity, setting (search and reading of BatchNorm; empty for the accuracies),
        small batch and large batch (mean ± sample standard deviation over seeds), ratio (large over small, with the
        range of the single seeds) and seeds.

    Raises:
        ResultsError: If there are neither minima nor sharpness.
    """
    means = summary(tables)
    if means.empty:
        raise ResultsError(
            nothing_left(tables) or "nothing to summarise: the tables `minima` and `sharpness` are empty."
        )
    means = with_standard_a(means[means["regime"].isin(PAIR)])
    keys = ["network", "data", "space", "epsilon", *TOLD_BY]
    joined = means.merge(with_standard_a(ratios(tables)), how="left", on=keys, suffixes=("", "_pairs"))
    ordering: Any = {"ascending": [True, False], "na_position": "first", "kind": "stable"}
    joined = joined.sort_values(["space", "epsilon"], **ordering)
    groups = joined.groupby(["quantity", *keys], sort=False, dropna=False)
    lines = [line(group, tables) for _, group in groups]
    rows = pd.DataFrame([*lines, *measured_lines(tables)], columns=TEXT_COLUMNS)
    order = {run: place for place, run in enumerate(dict.fromkeys(zip(rows["network"], rows["data"], strict=True)))}
    runs = pd.Series([order[run] for run in zip(rows["network"], rows["data"], strict=True)], dtype="int64")
    return rows.loc[runs.sort_values(kind="stable").index].reset_index(drop=True)


def line(group: pd.DataFrame, tables: Tables) -> list[str]:
    """Return one row of the table from the rows of both regimes."""
    first = group.iloc[0]
    means: dict[str, MeanAndSpread] = {
        str(regime): (float(mean), float(std))
        for regime, mean, std in zip(group["regime"], group["mean"], group["std"], strict=True)
    }
    if first["quantity"] == "sharpness":
        space = SPACES.get(first["space"], first["space"])
        names = [f"sharpness (%), {space}, ε {first['epsilon']:g}", setting_name(first, pair_rows(tables))]
        cells = {regime: plus_minus(mean, std) for regime, (mean, std) in means.items()}
    else:
        names = [QUANTITIES[first["quantity"]], ""]
        share, digits = (100, 2) if first["quantity"].endswith("accuracy") else (1, None)
        cells = {regime: plus_minus(share * mean, share * std, digits) for regime, (mean, std) in means.items()}
    values = [cells.get("small_batch", "–"), cells.get("large_batch", "–")]
    seeds = ", ".join(str(number) for number in dict.fromkeys(group["seeds"]))
    return [first["network"], first["data"], *names, *values, ratio_text(first), seeds]


def measured_lines(tables: Tables) -> Iterator[list[str]]:
    """Yield the rows of the measures that are summarised by rule."""
    for measure in by_rule():
        keys = ["network", "data", *setting_columns(measure)]
        each = pairs(tables, measure).groupby(keys, sort=False, dropna=False)
        spread = means(tables, measure)
        for values, rows in each:
            mine = spread.merge(pd.DataFrame([dict(zip(keys, values, strict=True))]), on=keys)
            cells = {
                str(row["regime"]): plus_minus(float(row["mean"]), float(row["std"])) for _, row in mine.iterrows()
            }
            ratio = rows["large_batch"] / rows["small_batch"]
            with np.errstate(divide="ignore", invalid="ignore"):
                whole = {"ratio": rows["large_batch"].mean() / rows["small_batch"].mean(), "seeds_pairs": ratio.count()}
            text = ratio_text(pd.Series({**whole, "lowest": ratio.min(), "highest": ratio.max()}))
            setting = f"{in_words(measure, rows.iloc[0])}, {SHORT.get(rows['batch_norm'].iloc[0], '')}".strip(", ")
            seeds = ", ".join(str(number) for number in dict.fromkeys(mine["seeds"]))
            names = [rows["network"].iloc[0], rows["data"].iloc[0], measure.words_within, setting]
            yield [*names, cells.get("small_batch", "–"), cells.get("large_batch", "–"), text, seeds]


def setting_name(setting: "pd.Series[Any]", rows: pd.DataFrame) -> str:
    """Return search and reading of BatchNorm; subspace dimension and examples only where they vary."""
    search, reading = setting["method"], setting["batch_norm"]
    parts = [SEARCHES.get(search, search), SHORT.get(reading, reading)]
    if rows["subspace_dim"].nunique() > 1 and pd.notna(setting["subspace_dim"]):
        parts.append(f"p = {setting['subspace_dim']:g}")
    if rows["examples"].nunique() > 1:
        parts.append(counted(int(setting["examples"]), "example"))
    return ", ".join(parts)


def plus_minus(mean: float, std: float, digits: int | None = None) -> str:
    """Return a mean with its standard deviation; one seed has no deviation.

    Args:
        mean: The mean.
        std: The standard deviation, or NaN.
        digits: Decimal places of both; without, three significant digits of the mean, or fewer where the
            deviation has more than two.

    Returns:
        The text.

    Example:
        >>> plus_minus(707.23, 43.04), plus_minus(0.00868, 0.0026), plus_minus(80.0, float("nan"), 2)
        ('707 ± 43', '0.0087 ± 0.0026', '80.00')
    """
    if not np.isfinite(mean) or (digits is None and not np.isfinite(std)):
        return significant(mean)
    if digits is None:
        sizes = [(mean, 2), (std, 1)]
        places = [keep - int(np.floor(np.log10(abs(value)))) for value, keep in sizes if value]
        digits = max(0, min(places, default=0))
        if digits > 6:
            return f"{mean:.2e} ± {std:.1e}"
    form = f",.{digits}f"
    return f"{mean:{form}}" if np.isnan(std) else f"{mean:{form}} ± {std:{form}}"


def ratio_text(row: "pd.Series[Any]") -> str:
    """Return the ratio of the means with the range over single seeds; a dash where there is none."""
    ratio, low, high = (float(row[column]) for column in ("ratio", "lowest", "highest"))
    if not np.isfinite(ratio):
        return "–"
    spread = f" [{significant(low)}, {significant(high)}]" if row["seeds_pairs"] > 1 else ""
    return f"{significant(ratio)}{spread}"


def terminal_tables(frame: pd.DataFrame) -> list[Table]:
    """Return the summary for the terminal, one table per network and data set.

    Rows of one quantity stand below its name. Where every row has as many seeds, the title says how many.
    """
    tables = []
    for network, data in dict.fromkeys(zip(frame["network"], frame["data"], strict=True)):
        rows = frame[(frame["network"] == network) & (frame["data"] == data)]
        numbers = rows["seeds"].unique()
        title, values = f"{network} on {DATA_NAMES.get(data, data)}", VALUES
        if len(numbers) == 1:
            title, values = f"{title}, {numbers[0]} seed{'s' * (numbers[0] != '1')}", VALUES[:-1]
        table = Table(
            title=title,
            box=SIMPLE,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            collapse_padding=True,
        )
        table.add_column("")
        for column in values:
            table.add_column(column, justify="right", no_wrap=True)
        for name, *cells in outline(rows, values):
            table.add_row(name, *cells)
        tables.append(table)
    return tables


def latex_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the summary in the narrow form of the terminal: one column of names instead of four."""
    lines: list[list[str]] = []
    for network, data in dict.fromkeys(zip(frame["network"], frame["data"], strict=True)):
        rows = frame[(frame["network"] == network) & (frame["data"] == data)]
        lines += [[f"{network} on {DATA_NAMES.get(data, data)}", *[""] * len(VALUES)], *outline(rows, VALUES)]
    return pd.DataFrame(lines, columns=["", *VALUES])


def outline(rows: pd.DataFrame, values: list[str]) -> list[list[str]]:
    """Return name and values of every row; rows with a setting come after a line with their quantity's name."""
    lines: list[list[str]] = []
    above = ""
    for quantity, setting, *cells in rows[["quantity", "setting", *values]].itertuples(index=False):
        if not setting:
            lines.append([quantity, *cells])
            continue
        if quantity != above:
            lines.append([quantity, *[""] * len(values)])
            above = quantity
        lines.append([f"  {setting}", *cells])
    return lines

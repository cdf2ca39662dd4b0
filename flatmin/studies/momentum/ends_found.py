"""What momentum changes in where a real network ends, judged by intervals over seeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import POINTS, Interval, of_difference, of_ratio
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.momentum.settings import EFFECTIVE, FIXED

QUANTITIES = {
    "train_loss": "training loss",
    "top_eigenvalue": "largest eigenvalue",
    "distance": "distance from the start",
    "test_accuracy": "test accuracy",
}
CLOSE = 1e-3
"""Nearer to 1 a ratio has two digits more, so that what lies beside 1 is not printed as 1."""
WHENS = {"end": "at the end", "target": "where the training loss is first below the target"}
"""The table's words for when, and a reader's."""


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Each momentum against none, paired by seed: ratios, and for the accuracy the difference in points.

    Returns:
        One row for each ``when``, ``equal``, ``momentum`` and ``quantity``, with ``without`` (mean), ``center``,
        ``low``, ``high``, ``seeds`` and ``side``: 1 or -1 where the interval excludes no change, 0 where it does not,
        NaN where there is none.
    """
    found = []
    for when in WHENS:
        now = rows[rows["when"] == when]
        none = now[now["momentum"] == 0].set_index("seed")
        for (equal, momentum), way in now[now["momentum"] > 0].groupby(["equal", "momentum"], sort=False):
            with_it = way.set_index("seed")
            for quantity in QUANTITIES:
                interval, same = change(with_it[quantity], none[quantity], quantity)
                side = np.sign(interval.low - same) if (interval.low - same) * (interval.high - same) > 0 else 0.0
                found.append(
                    {
                        "when": when,
                        "equal": equal,
                        "momentum": momentum,
                        "quantity": quantity,
                        "center": interval.center,
                        "low": interval.low,
                        "high": interval.high,
                        "seeds": len(interval.values),
                        "side": side if interval.exists else np.nan,
                    }
                )
    return pd.DataFrame(found)


def change(with_it: "pd.Series[float]", without: "pd.Series[float]", quantity: str) -> tuple[Interval, float]:
    """The change, and what no change is."""
    if quantity == "test_accuracy":
        return of_difference(100 * with_it, 100 * without, bounds=POINTS), 0.0
    return of_ratio(with_it, without), 1.0


def ends(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    """Say what each momentum changes, and what is left of it at one effective rate."""
    asked, data = tables.experiment["ends"], tables.experiment["data"]["name"]
    none = rows[(rows["momentum"] == 0) & (rows["when"] == "end")]
    if none.empty:
        return
    yield (
        f"A tanh network on {DATA_NAMES.get(data, data)}, {counted(int(none['epoch'].max()), 'epoch')} of batches of "
        f"{asked['batch_size']} at rate {asked['learning_rate']:g} without momentum ends with training loss "
        f"{none['train_loss'].mean():.3g}, test accuracy {100 * none['test_accuracy'].mean():.2f} %, largest "
        f"eigenvalue {none['top_eigenvalue'].mean():.3g} (means of {counted(len(none), 'seed')}). Against it, "
        "paired by seed, with 95 % t intervals:"
    )
    table = compared(rows)
    for (when, equal, momentum), part in table.groupby(["when", "equal", "momentum"], sort=False):
        rate = f"effective rate {asked['learning_rate']:g}"
        held = rate if equal == EFFECTIVE else f"learning rate {asked['learning_rate']:g}"
        at = WHENS[str(when)].replace("the target", f"{asked['target']:g}")
        said = "; ".join(f"{QUANTITIES[str(row.quantity)]} {one(row)}" for row in part.itertuples())
        yield f"Momentum {momentum:g} at {held}, {at} ({counted(int(part['seeds'].max()), 'seed')}): {said}."
    yield from verdicts(table, rows)


def one(row: Any) -> str:
    """One interval and what it says."""
    points, center, low, high, side = row.quantity == "test_accuracy", row.center, row.low, row.high, row.side
    if row.seeds == 0:
        return "not known"
    if np.isnan(side):
        return f"{center:+.2f} points (one seed)" if points else f"× {center:.4g} (one seed)"
    word = {1.0: "higher", -1.0: "lower"}.get(side, "undecided")
    if points:
        return f"{center:+.2f} points [{low:+.2f}, {high:+.2f}], {word}"
    digits = 4 if abs(center - 1) > CLOSE else 6
    return f"× {center:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}], {word}"


def verdicts(table: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Judge the two claims that the trainings are for."""
    for equal, name in ((FIXED, "At one learning rate"), (EFFECTIVE, "At one effective rate")):
        part = table[(table["equal"] == equal) & table["side"].notna()]
        apart = part[part["side"] != 0]
        most = part.loc[part["quantity"] != "test_accuracy", "center"]
        if part.empty:
            continue
        off = np.exp(abs(np.log(most)).max())
        yield (
            f"{name} {len(apart)} of {len(part)} intervals exclude no change (by chance alone about "
            f"{0.05 * len(part):.0f}); the largest mean change of a loss, eigenvalue or distance is by a factor of "
            f"{off:.3g}."
        )
    told = table[(table["equal"] == EFFECTIVE) & table["side"].notna() & (table["quantity"] != "distance")]
    if len(told):
        each = ", ".join(
            f"{int((part['side'] != 0).sum())} of {len(part)} with {momentum:g}"
            for momentum, part in told.groupby("momentum")
        )
        yield f"At one effective rate losses, eigenvalues and accuracies are told apart from those without: {each}."
    ended = rows[rows["when"] == "end"]
    lost = ended[ended["train_loss"].isna()]
    if len(lost):
        yield f"{counted(len(lost), 'training')} diverged and left no interval."
    reached = rows[rows["when"] == "target"].groupby(["equal", "momentum"]).size()
    missed = ended.groupby(["equal", "momentum"]).size().sub(reached, fill_value=0)
    if (missed > 0).any():
        left: list[Any] = [*missed[missed > 0].items()]
        where = ", ".join(f"{count:g} with {key[1]:g} at one {key[0].replace('_', ' ')}" for key, count in left)
        yield f"Trainings that never were below the target and have no part in what is said of it: {where}."

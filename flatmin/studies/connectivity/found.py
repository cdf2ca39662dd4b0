"""What the paths between minima show, judged by their barriers.

R8: on a curve the highest loss is far below that of the segment. K9, asked anew: is the barrier between small- and
large-batch minima still there once BatchNorm is re-estimated, neurons are matched, or the path may bend?
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import NOT_NEGATIVE, Interval, of_mean, of_ratio
from flatmin.results.statistics import NO_MINIMUM
from flatmin.results.words import counted, significant

BARRIER = 0.1
"""Nats above the higher end from which on K9 speaks of a barrier."""
MUCH = 10.0
"""How many times lower the highest loss of a curve has to be for R8."""
PAIRS = {
    "small_large": "small and large batch, one seed",
    "small_small": "small batch, two seeds",
    "large_large": "large batch, two seeds",
}
WAYS = {
    "segment": "segment",
    "matched_weights": "segment matched by weights",
    "matched_activations": "segment matched by activations",
    "bezier": "Bézier curve",
    "polychain": "polygonal chain",
}
CURVES = ("bezier", "polychain")
READINGS = {
    "interpolated": "interpolated statistics",
    "batch": "batch statistics",
    "reestimate": "re-estimated statistics",
}
ENDS = ["pair", "first_seed", "second_seed"]


def judged(tables: Tables) -> pd.DataFrame:
    """The barriers between pairs of which both ends are minima."""
    rows = tables.frames["connectivity_barriers"]
    minima = tables.minima
    lost = minima[minima["status"].isin(NO_MINIMUM)]
    gone = {
        (str(regime).partition("_")[0], int(seed)) for regime, seed in zip(lost["regime"], lost["seed"], strict=True)
    }

    def whole(row: "pd.Series[Any]") -> bool:
        sides = str(row["pair"]).split("_")
        return not gone & {(sides[0], int(row["first_seed"])), (sides[1], int(row["second_seed"]))}

    return rows[rows.apply(whole, axis=1)] if len(rows) and gone else rows


def numbered(values: "pd.Series[float]") -> "pd.Series[float]":
    """The same with the pairs numbered."""
    return values.reset_index(drop=True)


def strictest(rows: pd.DataFrame) -> str:
    """The reading in which claims are judged: re-estimated statistics, where BatchNorm has any."""
    return next(name for name in reversed(READINGS) if (rows["batch_norm"] == name).any())


def sentences(tables: Tables) -> Iterator[str]:
    """Yield R8 for each curve, K9 for each path and reading, what matching did, and the test error."""
    rows = judged(tables)
    if rows.empty:
        yield from left_out(tables, rows)
        yield from without_pair(tables)
        return
    yield from thrown_out(tables.frames["connectivity_ways"])
    reading = strictest(rows)
    for way in CURVES:
        if (rows["way"] == way).any():
            yield r8(rows, way, reading)
    yield from k9(rows)
    ways = tables.frames["connectivity_ways"]
    for name, part in ways[ways["neurons"].notna()].groupby("way", sort=False):
        yield matched(part, str(name))
    yield from test_error(rows, reading)
    yield from left_out(tables, rows)


def without_pair(tables: Tables) -> Iterator[str]:
    """Say why there is no path at all, where that is so."""
    if len(tables.minima) and tables.frames["connectivity_barriers"].empty:
        gone = int(tables.minima["status"].isin(NO_MINIMUM).sum())
        yield (
            f"No pair of minima is left: {gone} of {counted(len(tables.minima), 'training')} left none (diverged, or "
            f"no better than a guess)."
        )


def thrown_out(ways: pd.DataFrame) -> Iterator[str]:
    """Name the curves whose training diverged, which lie where they were before."""
    for way, curves in ways[ways["way"].isin(CURVES)].groupby("way", sort=False):
        if gone := int((curves["diverged"] > 0).sum()):
            yield (
                f"{WAYS[str(way)]}: {gone} of {len(curves)} diverged in training and lie where they last had a finite "
                f"loss; take a smaller curves.learning_rate."
            )


def left_out(tables: Tables, rows: pd.DataFrame) -> Iterator[str]:
    """Name the pairs that are not judged."""
    if len(gone := tables.frames["connectivity_barriers"].drop(rows.index)):
        pairs = counted(len(gone.groupby(ENDS)), "pair")
        yield f"{pairs} left out: an end is no minimum (diverged, or no better than a guess)."


def r8(rows: pd.DataFrame, way: str, reading: str) -> str:
    """Judge R8 for one kind of curve, over the pairs that have a barrier on the segment."""

    def of(name: str, column: str) -> "pd.Series[float]":
        mine = rows[(rows["quantity"] == "train_loss") & (rows["way"] == name) & (rows["batch_norm"] == reading)]
        return mine.set_index(ENDS)[column]

    barred = of("segment", "above_ends") > BARRIER
    asked = [ends for ends in of(way, "highest").index if barred.get(ends, False)]
    if not asked:
        return f"R8 for the {WAYS[way]} undecided: no pair has a barrier of {BARRIER:g} nats on the segment."
    straight, bent = (numbered(of(name, "highest").loc[asked]) for name in ("segment", way))
    found = of_ratio(straight, bent)
    return (
        f"R8 for the {WAYS[way]} {found.judged_above(MUCH)}: the highest training loss is {found} times lower than "
        f"on the segment (geometric mean over the {counted(len(asked), 'pair')} with a barrier on the segment, 95 % t "
        f"interval of the logarithms; asked for: {MUCH:g}); on average {significant(straight.mean())} on the segment "
        f"and {significant(bent.mean())} on the curve, {READINGS[reading]}."
    )


def k9(rows: pd.DataFrame) -> Iterator[str]:
    """Judge the barrier between small- and large-batch minima on each path, and beside it that between two seeds."""
    for pair, words in PAIRS.items():
        mine = rows[(rows["pair"] == pair) & (rows["quantity"] == "train_loss")]
        if mine.empty:
            continue
        said = dict[str, dict[str, list[str]]]()
        for (way, reading), part in mine.groupby(["way", "batch_norm"], sort=False):
            side = barred(of_mean(numbered(part["above_ends"]), bounds=NOT_NEGATIVE))
            said.setdefault(side, {}).setdefault(str(way), []).append(str(reading))
        sides = "; ".join(
            f"{side} on {', '.join(path_in(way, readings, mine) for way, readings in ways.items())}"
            for side, ways in said.items()
        )
        claim = "K9 (a barrier between the minima), asked anew," if pair == "small_large" else "The same"
        yield (
            f"{claim} for {words}: {sides}. A barrier is a training loss more than {BARRIER:g} nats above the higher "
            f"end, by the 95 % t interval of the mean over {counted(len(mine.groupby(ENDS)), 'pair')}."
        )


def path_in(way: str, readings: list[str], rows: pd.DataFrame) -> str:
    """A path, with the readings of BatchNorm for which something is said if that is not all that it has."""
    every = rows.loc[rows["way"] == way, "batch_norm"].nunique()
    named = "" if len(readings) == every else f" ({' and '.join(READINGS[reading] for reading in readings)})"
    return f"{WAYS[way]}{named}"


def matched(ways: pd.DataFrame, way: str) -> str:
    """Say how far matching went."""
    done = int(ways["converged"].sum())
    change = (ways["distance"] / ways["distance_before"] - 1).mean()
    moves = "; ".join(
        f"{100 * part['moved'].mean():.1f} % between {PAIRS[str(pair)]}"
        for pair, part in ways.groupby("pair", sort=False)
    )
    return (
        f"Matching neurons by {way.removeprefix('matched_')} moved, of {ways['neurons'].iloc[0]:,.0f} neurons, "
        f"{moves}; the distance between the minima {'fell' if change <= 0 else 'rose'} by {abs(100 * change):.1f} % on "
        f"average; {done} of {counted(len(ways), 'search')} converged."
    )


def test_error(rows: pd.DataFrame, reading: str) -> Iterator[str]:
    """Say how far the test error rises, in percentage points."""
    for pair, words in PAIRS.items():
        mine = rows[(rows["pair"] == pair) & (rows["batch_norm"] == reading) & (rows["quantity"] == "test_error")]
        said = []
        for way, part in mine.groupby("way", sort=False):
            found = of_mean(100 * numbered(part["above_ends"]), bounds=NOT_NEGATIVE)
            said.append(f"{WAYS[str(way)]} {found}")
        if said:
            what = f"Test error above the worse end in percentage points, {words}, {READINGS[reading]}"
            yield f"{what}: {'; '.join(said)}."


def barred(found: Interval) -> str:
    """Whether there is a barrier, by its interval."""
    return {"holds": "a barrier", "does not hold": "no barrier", "undecided": "undecided"}[found.judged_above(BARRIER)]


def tabled(tables: Tables) -> tuple[str, pd.DataFrame]:
    """Caption and table: for each pair, path and reading the barriers by both definitions, and the test error's."""
    rows, found = judged(tables), []
    for (pair, way, reading), part in rows.groupby(["pair", "way", "batch_norm"], sort=False):
        loss, error = (part[part["quantity"] == name] for name in ("train_loss", "test_error"))
        row: dict[str, Any] = {"pair": PAIRS[str(pair)], "path": WAYS[str(way)], "BatchNorm": READINGS[str(reading)]}
        row["n"] = len(loss)
        above = of_mean(numbered(loss["above_ends"]), bounds=NOT_NEGATIVE)
        row["above the ends (nats)"] = f"{above}"
        row["which is"] = barred(above)
        row["highest at"] = f"{loss['at'].median():.2g}"
        row["above the line (nats)"] = f"{of_mean(numbered(loss['above_line']), bounds=NOT_NEGATIVE)}"
        row["highest loss"] = f"{of_mean(numbered(loss['highest']), bounds=NOT_NEGATIVE)}"
        row["test error (points)"] = f"{of_mean(100 * numbered(error['above_ends']), bounds=NOT_NEGATIVE)}"
        found.append(row)
    caption = (
        "Barriers of the training loss by both definitions, and of the test error above the worse end: mean over pairs "
        f"with 95 % t interval. A barrier is one of more than {BARRIER:g} nats above the higher end; the place of the "
        "highest loss on the path is the median over pairs."
    )
    return caption, pd.DataFrame(found)


def spread(rows: pd.DataFrame) -> Interval:
    """The barrier of the training loss over the pairs of some rows."""
    mine = rows[rows["quantity"] == "train_loss"]["above_ends"]
    return of_mean(numbered(mine[np.isfinite(mine)]), bounds=NOT_NEGATIVE)

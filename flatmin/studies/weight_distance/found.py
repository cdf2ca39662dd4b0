"""How the distance from the start grows, judged.

R4: it goes with the logarithm of the updates while the learning rate is constant. Whether that is so is asked of the
updates until all training examples are right, and of all: behind that point the gradient of the cross-entropy fades and
the weights go on for another reason. Ordinary diffusion would be the square root of the updates.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import NOT_NEGATIVE, Interval, of_mean, of_ratio
from flatmin.results.words import counted, significant
from flatmin.studies.weight_distance.steps import TABLE

GOOD = 0.95
FEWEST = 5
"""Looks at a training below which a line says nothing."""
KEYS = ["rule", "batch_size", "seed"]
LAWS: dict[str, Callable[[Any], Any]] = {"log": np.log, "sqrt": np.sqrt}
PARTS = {"before": "until all training examples are right", "whole": "all updates"}
RULES = {
    "same": "one learning rate",
    "sqrt": "rates by the square root of the batch size",
    "linear": "rates in proportion to the batch size",
}


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    rows = tables.frames[TABLE]
    if rows.empty:
        return
    found = fits(rows)
    for part in PARTS:
        for rule in RULES:
            mine = found[(found["part"] == part) & (found["rule"] == rule)]
            if len(mine):
                yield judged(mine, part, rule)
    yield from apart(rows)


def before(training: pd.DataFrame) -> pd.DataFrame:
    """The looks at one training until the first that finds all training examples right, with that one."""
    ordered = training.sort_values("update")
    right = ordered["accuracy"] >= 1
    return ordered[~right.shift(fill_value=False).cummax().astype(bool)]


def line(updates: Any, distances: Any, law: str) -> tuple[float, float, float]:
    """Offset, slope and R² of the least-squares line of distances in the law of the updates."""
    there, distances = LAWS[law](np.asarray(updates, dtype=float)), np.asarray(distances, dtype=float)
    slope, offset = np.polyfit(there, distances, 1)
    left = distances - offset - slope * there
    return float(offset), float(slope), float(1 - (left @ left) / np.square(distances - distances.mean()).sum())


def fits(rows: pd.DataFrame) -> pd.DataFrame:
    """R² of both laws for each training that has enough looks, its slope in the log, and where all were right."""
    found = list[dict[str, Any]]()
    for keys, training in rows[np.isfinite(rows["distance"])].groupby(KEYS, sort=False):
        for part, seen in (("before", before(training)), ("whole", training)):
            if len(seen) < FEWEST:
                continue
            squares = {law: line(seen["update"], seen["distance"], law)[2] for law in LAWS}
            found.append({**dict(zip(KEYS, keys, strict=True)), "part": part, **squares, "last": seen["update"].max()})
    return pd.DataFrame(found, columns=[*KEYS, "part", *LAWS, "last"])


def square(values: "pd.Series[Any]") -> Interval:
    """The mean R² over seeds; of 1 - R², which is not negative."""
    found = of_mean(1 - values, bounds=NOT_NEGATIVE)
    return Interval(1 - found.center, 1 - found.high, 1 - found.low, tuple(1 - one for one in found.values))


def judged(found: pd.DataFrame, part: str, rule: str) -> str:
    """Judge R4 for one rule and one part of the trainings."""
    sizes: Any = found.groupby("batch_size")
    each = {size: square(mine.set_index("seed")["log"]) for size, mine in sizes}
    other = found.groupby("batch_size")["sqrt"].mean()
    decided = [one for one in each.values() if one.exists]
    verdict = "undecided"
    if any(one.high < GOOD for one in decided):
        verdict = "does not hold"
    elif len(decided) == len(each) and all(one.low > GOOD for one in decided):
        verdict = "holds"
    said = "; ".join(
        f"B = {size:,.0f}: {one.center:.3f}{f' ({one.low:.3f} to {one.high:.3f})' if one.exists else ''}, "
        f"{other[size]:.3f}"
        for size, one in each.items()
    )
    return (
        f"R4 for {RULES[rule]}, {PARTS[part]}, {verdict}: R² of the distance from the start as a line in the logarithm "
        f"of the updates, and in their square root: {said} (R² above {GOOD:g} is asked of every batch size; 95 % t "
        f"interval over {counted(found['seed'].nunique(), 'seed')})."
    )


def apart(rows: pd.DataFrame) -> Iterator[str]:
    """Compare the distance of the largest and the smallest batch after as many updates, while neither is done."""
    sizes = rows["batch_size"].min(), rows["batch_size"].max()
    if sizes[0] == sizes[1]:
        return
    least = rows[rows["batch_size"] == sizes[0]]
    common = min(int(before(training)["update"].max()) for _, training in rows.groupby(KEYS))
    for rule in RULES:
        large = rows[(rows["rule"] == rule) & (rows["batch_size"] == sizes[1])]
        if large.empty:
            continue
        at = [part[part["update"] == common].set_index("seed")["distance"] for part in (large, least)]
        ratio = of_ratio(*at)
        inside = f" ({significant(ratio.low)} to {significant(ratio.high)})" if ratio.exists else ""
        yield (
            f"After {counted(common, 'update')}, when no training has all examples right, batches of {sizes[1]:,.0f} "
            f"with {RULES[rule]} are {significant(ratio.center)}{inside} times as far from the start as batches of "
            f"{sizes[0]:,.0f}."
        )

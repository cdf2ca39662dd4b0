"""How the distance from the start grows, judged.

R4: it goes with the logarithm of the updates while the learning rate is constant. Whether that is so is asked of the
updates until all training examples are right, and of all: behind that point the gradient of the cross-entropy fades and
the weights go on for another reason. Ordinary diffusion would be the square root of the updates.

What a straight line is worth depends on which updates count: those that were looked at lie evenly in the logarithm, so
that the first ones weigh much; were every update to count alike the last ones would. The claim has to hold for both.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import NOT_NEGATIVE, Interval, of_mean, of_ratio
from flatmin.results.words import counted
from flatmin.studies.weight_distance.steps import TABLE

GOOD = 0.95
FEWEST = 5
"""Looks at a training below which a line says nothing."""
KEYS = ["rule", "batch_size", "seed"]
LAWS: dict[str, Callable[[Any], Any]] = {"log": np.log, "sqrt": np.sqrt}
PARTS = {"before": "until all training examples are right", "whole": "all updates"}
COUNTINGS = {"looks": "looks even in the logarithm", "updates": "every update alike"}
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
    yield from left_out(rows)
    found = fits(rows)
    for part in PARTS:
        for rule in RULES:
            mine = found[(found["part"] == part) & (found["rule"] == rule)]
            if len(mine):
                yield judged(mine, part, rule)
    if len(kept := lasting(rows)):
        yield from apart(kept)


def fates(rows: pd.DataFrame) -> "pd.Series[str]":
    """For each row why its training answers nothing: it diverged, or no weight ever moved; empty where it does."""
    finite = np.isfinite(rows["distance"]) & np.isfinite(rows["loss"])
    trainings = [rows[key] for key in KEYS]
    diverged = ~finite.groupby(trainings).transform("all")
    still = rows["distance"].groupby(trainings).transform("max") == 0
    return pd.Series(np.select([diverged, still], ["diverged", "never left the start"], ""), rows.index)


def lasting(rows: pd.DataFrame) -> pd.DataFrame:
    """The trainings that move and whose loss stays finite."""
    return rows[fates(rows) == ""]


def left_out(rows: pd.DataFrame) -> Iterator[str]:
    """Name the trainings that answer nothing, and why."""
    fate, trainings = fates(rows), rows.groupby(KEYS).ngroups
    for words, part in rows[fate != ""].groupby(fate):
        each: Any = part.groupby(["rule", "batch_size"])["seed"].nunique()
        said = ", ".join(f"{count} with {RULES[rule]}, B = {size:,.0f}" for (rule, size), count in each.items())
        yield f"{each.sum()} of {counted(trainings, 'training')} {words} and are left out: {said}."


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


def every_update(seen: pd.DataFrame) -> pd.DataFrame:
    """The distance after every update, straight between those that were looked at."""
    updates = np.arange(seen["update"].min(), seen["update"].max() + 1)
    return pd.DataFrame({"update": updates, "distance": np.interp(updates, seen["update"], seen["distance"])})


def fits(rows: pd.DataFrame) -> pd.DataFrame:
    """R² of both laws, counted in both ways, for each training that lasts and has enough looks."""
    found = list[dict[str, Any]]()
    for keys, training in lasting(rows).groupby(KEYS, sort=False):
        for part, seen in (("before", before(training)), ("whole", training)):
            if len(seen) < FEWEST or seen["distance"].nunique() == 1:
                continue
            named = {**dict(zip(KEYS, keys, strict=True)), "part": part}
            for counting, points in (("looks", seen), ("updates", every_update(seen))):
                squares = {law: line(points["update"], points["distance"], law)[2] for law in LAWS}
                found.append({**named, "counting": counting, **squares})
    return pd.DataFrame(found, columns=[*KEYS, "part", "counting", *LAWS])


def square(values: "pd.Series[Any]") -> Interval:
    """The mean R² over seeds; of 1 - R², which is not negative."""
    found = of_mean(1 - values, bounds=NOT_NEGATIVE)
    return Interval(1 - found.center, 1 - found.high, 1 - found.low, tuple(1 - one for one in found.values))


def judged(found: pd.DataFrame, part: str, rule: str) -> str:
    """Judge R4 for one rule and one part of the trainings."""
    each = {keys: square(mine.set_index("seed")["log"]) for keys, mine in grouped(found)}
    decided = {keys: one for keys, one in each.items() if one.exists}
    verdict = "undecided"
    if any(one.high < GOOD for one in decided.values()):
        verdict = "does not hold"
    elif len(decided) == len(each) and all(one.low > GOOD for one in decided.values()):
        verdict = "holds"
    low, high = min(one.center for one in each.values()), max(one.center for one in each.values())
    below = [f"B = {size:,.0f} ({COUNTINGS[counting]})" for (size, counting), one in decided.items() if one.high < GOOD]
    fails = f"; surely below it: {', '.join(below)}" if below else ""
    return (
        f"R4 for {RULES[rule]}, {PARTS[part]}, {verdict}: a line in the logarithm of the updates has an R² of "
        f"{low:.3f} to {high:.3f} over batch sizes and ways of counting, above {GOOD:g} is asked of each{fails}."
    )


def grouped(found: pd.DataFrame) -> Any:
    """The fits by batch size and way of counting."""
    return found.groupby(["batch_size", "counting"])


def tabled(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield how well both laws describe the distance, with its caption; nothing where no training tells."""
    rows = tables.frames[TABLE]
    found = fits(rows) if len(rows) else pd.DataFrame()
    if found.empty:
        return
    shown = []
    for keys, mine in found.groupby(["part", "rule"], sort=False):
        part, rule = map(str, keys)
        for (size, counting), each in grouped(mine):
            squares = (f"{square(each.set_index('seed')[law]):.3f}" for law in LAWS)
            shown.append((PARTS[part], RULES[rule], f"{size:,.0f}", COUNTINGS[counting], *squares))
    seeds = counted(found["seed"].nunique(), "seed")
    yield (
        "Distance from the start against the number of updates: R² of a line in its logarithm, and in its square root; "
        f"mean over {seeds} with its 95 % t interval.",
        pd.DataFrame(shown, columns=["updates", "learning rates", "batch", "counted", "logarithm", "square root"]),
    )


def apart(rows: pd.DataFrame) -> Iterator[str]:
    """Compare the distances of all batch sizes with the smallest one's after as many updates, while none is done."""
    least, *others = sorted(rows["batch_size"].unique())
    common = min(int(before(training)["update"].max()) for _, training in rows.groupby(KEYS))
    there = rows[rows["update"] == common]
    base = there[there["batch_size"] == least].set_index("seed")["distance"]
    for rule in RULES:
        mine = {size: there[(there["rule"] == rule) & (there["batch_size"] == size)] for size in others}
        said = [
            f"batches of {size:,.0f} {of_ratio(part.set_index('seed')['distance'], base)}"
            for size, part in mine.items()
            if len(part)
        ]
        if said:
            yield (
                f"After {counted(common, 'update')}, until which no training has all examples right, the distance from "
                f"the start with {RULES[rule]}, over that of batches of {least:,.0f}: {', '.join(said)}."
            )

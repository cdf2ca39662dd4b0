"""What basin and canyon show, judged by their tables: the three statements behind Lee's Fig. 3.13.

The test loss is the training loss shifted; the shift costs about h s^2 / 2; in a wide valley it costs less.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from flatmin.results import Tables
from flatmin.results.intervals import CORRELATION, Interval, of_mean, of_ratio
from flatmin.results.words import REGIME_NAMES, counted
from flatmin.studies.basin_and_canyon.steps import LINES, MINIMA

SMALL, LARGE = REGIME_NAMES
WITHIN = 0.2
SAME_CORRELATION, SAME_RESIDUAL = 0.99, 0.1
"""Curves of one shape, once shifted, correlate so much, and differ by so little of themselves."""
ENOUGH = 4
"""Lines of a seed, without which their ranks say nothing."""
DIRECTIONS = {
    "random": "random, filter-normalised",
    "steepest": "steepest eigenvectors",
    "between": "between the two minima",
    "downhill": "down the test loss",
}
CAPTION = (
    "Training and test loss along lines through small- and large-batch minima: mean over the seeds [95 % t interval]; "
    "of costs and of the ratio, geometric mean."
)


def judged(tables: Tables) -> pd.DataFrame:
    """The lines of seeds whose minima are both deep enough, with what is judged of them.

    ``distance`` is how far the test loss is shifted, ``share`` that over the half-width, ``paid`` the cost, at least 0.
    """
    rows, minima = tables.frames[LINES], tables.frames[MINIMA]
    reached = minima[minima["status"] == "reached"].groupby("seed")["regime"].nunique()
    kept: pd.DataFrame = rows[rows["seed"].isin(reached[reached == 2].index) & rows["inside"]]
    distance = kept["shift"].abs()
    return kept.assign(distance=distance, share=distance / kept["reach"], paid=kept["cost"].clip(lower=0))


def by_seed(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """The mean of a column over the lines of each seed."""
    return rows.groupby("seed")[column].mean()


def alone(values: "pd.Series[float]") -> Interval:
    """The interval of a geometric mean."""
    return of_ratio(values, pd.Series(1.0, index=values.index))


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    minima, all_lines, rows = tables.frames[MINIMA], tables.frames[LINES], judged(tables)
    if minima.empty:
        return
    yield from depths(minima)
    if rows.empty:
        yield "Fig. 3.13 undecided: no seed has both minima as deep as asked for, with lines through them."
        return
    outside = int((~all_lines["inside"]).sum())
    yield (
        f"{counted(len(rows), 'line')} of {counted(rows['seed'].nunique(), 'seed')}, each up to where the training "
        f"loss is {tables.experiment['rise']:g} higher; {outside} left out, whose test loss falls beyond. Intervals "
        "are 95 % t intervals over the seeds."
    )
    yield shape(rows)
    yield cost(rows)
    yield from wide(rows)
    yield from ranks(rows)
    yield from shares(rows)


def depths(minima: pd.DataFrame) -> Iterator[str]:
    """How deep and how sharp the minima are, and whether the large batch's are the sharper ones."""
    for regime, part in minima.groupby("regime", sort=False):
        reached = part[part["status"] == "reached"]
        yield (
            f"{REGIME_NAMES[str(regime)].capitalize()}, {part['batch_size'].iloc[0]:,} examples: {len(reached)} of "
            f"{counted(len(part), 'training')} reached the target, in {part['epochs'].median():,.0f} epochs (median); "
            f"training loss {reached['train_loss'].mean():.3g}, test loss {reached['test_loss'].mean():.3g}, test "
            f"accuracy {100 * reached['test_accuracy'].mean():.2f} %."
        )
    deep = minima[minima["status"] == "reached"].set_index("seed")
    small, large = (deep[deep["regime"] == regime]["top_eigenvalue"] for regime in (SMALL, LARGE))
    found = of_ratio(large, small)
    if found.values:
        yield (
            f"Premise, the large-batch minimum is the canyon: {found.judged_above(1)}; its largest eigenvalue is "
            f"{found:.2f} times that of the small-batch minimum."
        )


def shape(rows: pd.DataFrame) -> str:
    """Judge that the test loss is the training loss shifted."""
    correlation = of_mean(by_seed(rows, "correlation"), bounds=CORRELATION)
    residual, unaligned = alone(by_seed(rows, "residual")), by_seed(rows, "unaligned_residual").mean()
    scale, rest = alone(by_seed(rows, "steepness")), by_seed(rows, "scaled_residual").mean()
    if not correlation.exists:
        said = "undecided"
    elif correlation.low >= SAME_CORRELATION and residual.high <= SAME_RESIDUAL:
        said = "holds"
    elif correlation.high < SAME_CORRELATION or residual.low > SAME_RESIDUAL:
        said = "does not hold"
    else:
        said = "undecided"
    return (
        f"Fig. 3.13 (one shape, shifted) {said}: with the minima put on each other the curves correlate by "
        f"{correlation:.3f} and differ by {residual:.3f} of the training curve ({unaligned:.3f} before; at "
        f"least {SAME_CORRELATION:g} and at most {SAME_RESIDUAL:g} would be one shape); the test curve rises "
        f"{scale:.3f} times as steeply, and {rest:.3f} is left when that is taken into account."
    )


def cost(rows: pd.DataFrame) -> str:
    """Judge that the shift costs h s^2 / 2."""
    known = rows[(rows["cost"] > 0) & (rows["predicted"] > 0)]
    logs = known.assign(log=np.log(known["cost"] / known["predicted"]))
    found = alone(by_seed(logs, "log").map(math.exp))
    spread = np.exp(logs["log"].quantile([0.05, 0.95])).tolist()
    if not found.exists:
        said = "undecided"
    elif found.low >= 1 - WITHIN and found.high <= 1 + WITHIN:
        said = "holds"
    else:
        said = "does not hold" if found.high < 1 - WITHIN or found.low > 1 + WITHIN else "undecided"
    return (
        f"Fig. 3.13 (the shift s costs h s^2 / 2, h the curvature of the test loss at its minimum) {said}: the cost "
        f"is {found:.3f} times that, 90 % of {counted(len(known), 'line')} within "
        f"{spread[0]:.2f} to {spread[1]:.2f}."
    )


def wide(rows: pd.DataFrame) -> Iterator[str]:
    """Judge, for each kind of line, that the shift costs less at the small-batch minimum."""
    for name, words in DIRECTIONS.items():
        small, large = (rows[(rows["direction"] == name) & (rows["regime"] == regime)] for regime in (SMALL, LARGE))
        if small.empty or large.empty:
            continue
        found, steeper, shift = (
            of_ratio(by_seed(large, column), by_seed(small, column))
            for column in ("paid", "train_curvature", "distance")
        )
        yield (
            f"Fig. 3.13 (the shift costs less at the small-batch minimum), {words}: {found.judged_above(1)}; at the "
            f"large-batch minimum it costs {found:.2f} times as much, with {steeper:.2f} "
            f"times the curvature and {shift:.2f} times the shift."
        )


def ranks(rows: pd.DataFrame) -> Iterator[str]:
    """Say whether steeper lines have smaller shifts, and costs more or less."""
    for words, some in (("random lines", rows[rows["direction"] == "random"]), ("all lines", rows)):
        seeds = {int(str(seed)): part for seed, part in some.groupby("seed") if len(part) >= ENOUGH}
        if not seeds:
            continue
        costs, shifts = (
            of_mean(
                pd.Series(
                    {seed: rank(part["train_curvature"], part[column]) for seed, part in seeds.items()}, dtype=float
                ),
                bounds=CORRELATION,
            )
            for column in ("cost", "distance")
        )
        yield (
            f"Fig. 3.13 (the steeper a line, the more its shift costs), {words} of both minima: "
            f"{costs.judged_above(0)}; rank correlation of curvature and cost {costs:.2f}, of curvature and shift "
            f"{shifts:.2f}: the figure takes the shift for the same in both valleys, and the cost of a "
            "given slope g of the test loss is g^2 / (2 h)."
        )


def rank(first: "pd.Series[float]", second: "pd.Series[float]") -> float:
    """Spearman's correlation; not-a-number where one does not vary."""
    if first.nunique() < 2 or second.nunique() < 2:
        return math.nan
    return float(spearmanr(first, second).statistic)


def shares(rows: pd.DataFrame) -> Iterator[str]:
    """Say how much of the gap the shift accounts for."""
    for regime, part in rows.groupby("regime", sort=False):
        gap = by_seed(part, "gap")
        each = [
            f"{100 * (by_seed(mine, 'cost') / by_seed(mine, 'gap')).mean():.2g} % ({words})"
            for name, words in DIRECTIONS.items()
            if len(mine := part[part["direction"] == name])
        ]
        yield (
            f"{REGIME_NAMES[str(regime)].capitalize()}: test less training loss is {of_mean(gap):.3f} where the "
            f"training loss is lowest; the shift along one line accounts for {', '.join(each)} of it, the rest is "
            "there at the lowest point of the test loss too."
        )


def table(tables: Tables) -> pd.DataFrame:
    """Shift, cost and shape by kind of line and regime, for a reader."""
    rows, lines = judged(tables), list[dict[str, str]]()
    for name, words in DIRECTIONS.items():
        for regime in (SMALL, LARGE):
            part = rows[(rows["direction"] == name) & (rows["regime"] == regime)]
            if len(part):
                costs = by_seed(part, "paid")
                lines.append(
                    {
                        "lines": words,
                        "minimum": REGIME_NAMES[regime],
                        "n": str(len(part)),
                        "curvature": f"{alone(by_seed(part, 'train_curvature')):.3g}",
                        "shift / half-width": f"{alone(by_seed(part, 'share')):.3f}",
                        "cost (nats)": f"{alone(costs):.2g}",
                        "correlation": f"{of_mean(by_seed(part, 'correlation'), bounds=CORRELATION):.4f}",
                        "test / training steepness": f"{alone(by_seed(part, 'steepness')):.2f}",
                    }
                )
    return pd.DataFrame(lines)

"""What the noise of the gradient shows, judged by its tables.

L10: the variance of a batch's gradient times the batch size is constant. L7: where one batch's gradient vanishes,
another's does not, and a step on it lowers its loss.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import of_mean, of_ratio
from flatmin.results.words import counted, significant
from flatmin.studies.gradient_noise.steps import HOW, VARIANCES
from flatmin.studies.gradient_noise.stuck import POINTS

WITHIN = 0.2
TIMES = 10.0
"""A gradient that is so many times another's length is not also zero."""
LOG = ["epoch", "drawn", "seed"]


def products(tables: Tables) -> pd.DataFrame:
    """The table of variances with variance times batch size, over the factor of a finite population, and over its mean.

    ``product`` is the variance times the batch size over the factor; ``relative`` is that over its geometric mean
    over all batch sizes of the same network, epoch and way of drawing.
    """
    rows = tables.frames[VARIANCES]
    product = rows["variance"] * rows["batch_size"] / rows["factor"]
    logs = rows[LOG].assign(mean=np.log(product)).groupby(LOG)["mean"].transform("mean")
    whole: pd.DataFrame = rows.assign(product=product, relative=product / np.exp(logs))
    return whole


def slopes(rows: pd.DataFrame) -> "pd.Series[float]":
    """The slope of log variance against log batch size, by seed."""
    found = {
        seed: np.polyfit(np.log(way["batch_size"]), np.log(way["variance"]), 1)[0] for seed, way in rows.groupby("seed")
    }
    return pd.Series(found, dtype=float)


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    rows = products(tables)
    if len(rows):
        yield (
            f"Intervals are 95 % t intervals over {counted(rows['seed'].nunique(), 'seed')}; of ratios, on their "
            "logarithms."
        )
        for how in dict.fromkeys(rows["drawn"]):
            yield constancy(rows[rows["drawn"] == how], how)
        yield from exponents(rows)
        yield exactness(rows)
        yield from scales(rows)
    if len(tables.frames[POINTS]):
        yield from stuck(tables.frames[POINTS], tables.experiment["stuck"])


def constancy(rows: pd.DataFrame, how: str) -> str:
    """Judge L10 for one way of drawing."""
    ones = pd.Series(1.0, index=sorted(rows["seed"].unique()))
    found = [of_ratio(part.set_index("seed")["relative"], ones) for _, part in rows.groupby(["epoch", "batch_size"])]
    inside = [one.low >= 1 - WITHIN and one.high <= 1 + WITHIN for one in found]
    outside = [one.high < 1 - WITHIN or one.low > 1 + WITHIN for one in found]
    verdict = "holds" if all(inside) else "does not hold" if any(outside) else "undecided"
    centers = [one.center for one in found]
    factor = "" if how == HOW[True] else ", over the factor (N - B) / (N - 1) of a finite population,"
    return (
        f"L10 ({how}) {verdict}: the variance of the gradient times the batch size{factor} is constant within "
        f"{100 * WITHIN:.0f} %; {min(centers):.3f} to {max(centers):.3f} of its mean over the batch sizes "
        f"{rows['batch_size'].min():,} to {rows['batch_size'].max():,}, intervals within {100 * WITHIN:.0f} % for "
        f"{sum(inside)} of {len(found)} sizes and epochs."
    )


def exponents(rows: pd.DataFrame) -> Iterator[str]:
    """Say how steep the variance falls on two logarithmic axes."""
    for how in dict.fromkeys(rows["drawn"]):
        mine = rows[rows["drawn"] == how]
        each = [f"{of_mean(slopes(part)):.3f} after epoch {epoch}" for epoch, part in mine.groupby("epoch")]
        yield f"Slope of log variance against log batch size, {how}: {'; '.join(each)} (1/B is -1)."
    without = rows[rows["drawn"] == HOW[False]]
    if len(without):
        least = without.sort_values("factor").iloc[0]
        yield (
            f"Without replacement a batch of {least['batch_size']:,} of the examples has {least['factor']:.2f} of the "
            "variance that its size alone would give, as batches of an epoch are drawn; L10 without the factor "
            f"{'does not hold' if least['factor'] < 1 - WITHIN else 'holds'} there."
        )


def exactness(rows: pd.DataFrame) -> str:
    """Compare with tr(Sigma) from the gradient of each example, and with the estimate from fifty parts."""
    share, parts = rows["product"] / rows["spread"], rows["parts_spread"] / rows["spread"]
    return (
        f"Against tr(Sigma) from the gradients of all single examples the product is {share.min():.3f} to "
        f"{share.max():.3f}; the estimate from some fifty parts of the data is {parts.min():.2f} to {parts.max():.2f}."
    )


def scales(rows: pd.DataFrame) -> Iterator[str]:
    """Say beyond which batch size more examples hardly help."""
    for epoch, part in rows.groupby("epoch"):
        ones = part.drop_duplicates("seed").set_index("seed")
        unit = pd.Series(1.0, index=ones.index)
        yield (
            f"After epoch {epoch}: loss {ones['loss'].mean():.3g}, gradient {ones['gradient_norm'].mean():.3g}, "
            f"tr(Sigma) {of_ratio(ones['spread'], unit)}, noise scale tr(Sigma) / |G|^2 "
            f"{of_ratio(ones['noise_scale'], unit)} examples: a smaller batch is mostly noise."
        )


def stuck(rows: pd.DataFrame, asked: dict[str, Any]) -> Iterator[str]:
    """Judge L7, and say what other batches do to a point where one is stuck."""
    here = rows[rows["stuck"]]
    yield (
        f"{len(here)} of {counted(len(rows), 'search')} came to where the gradient of one batch is at most "
        f"{asked['near']:g}; there the lowest eigenvalue of its Hessian is negative in {(here['lowest'] < 0).sum()}."
    )
    if here.empty:
        yield "L7 undecided: no batch is stuck, so nothing is judged."
        return
    apart = here["other_shortest"] > TIMES * here["gradient_norm"]
    lowered, others = int(here["lowered"].sum()), int(here["others"].sum())
    verdict = "holds" if apart.all() and lowered == others else "does not hold"
    yield (
        f"L7 {verdict}: where one batch's gradient vanishes, that of every other batch is more than {TIMES:g} times as "
        f"long ({int(apart.sum())} of {len(here)} points), and a step on it lowers its loss ({lowered:,} of "
        f"{others:,} steps)."
    )
    for size, part in here.groupby("batch_size"):
        by = part.set_index("seed")
        longer = of_ratio(by["other_gradient"], by["gradient_norm"])
        unit = pd.Series(1.0, index=by.index)
        yield (
            f"B = {size:,} ({counted(len(by), 'seed')}): gradient {significant(by['gradient_norm'].median(), 2)} for "
            f"the batch, {of_ratio(by['other_gradient'], unit)} for others, "
            f"{longer} times as long, {of_ratio(by['full_gradient'], unit)} for all "
            f"examples; {asked['descent']} steps on the batch move the weights by {by['moved_own'].median():.2g} and "
            f"the loss of all examples from {by['full_before'].mean():.3g} to {by['full_after_own'].mean():.3g}, as "
            f"many on the others by {by['moved_others'].median():.2g} and to {by['full_after_others'].mean():.3g}."
        )
    counts = here.groupby("seed")["batch_size"].nunique()
    falling = here[here["seed"].isin(counts[counts > 1].index)]
    if len(falling):
        slope = slopes(falling.assign(variance=falling["other_gradient"]))
        yield (
            f"Length of the others' gradient against B, slope of the logarithms: {of_mean(slope):.3f} "
            "(1/B of the variance alone is -0.5)."
        )

"""What the critical points show, judged by their table."""

from collections.abc import Iterator

import pandas as pd
from scipy.stats import spearmanr

from flatmin.results import Tables
from flatmin.results.words import counted

CEILING = 0.7
"""No minimum ratio is above it, says the claim; the book's highest is 0.56."""
ENOUGH = 50
"""Networks without which a ratio that was not seen proves nothing."""
METHOD_NAMES = {
    "gradient_norm": "gradient norm made small",
    "levenberg_marquardt": "Levenberg-Marquardt",
    "saddle_free_newton": "loss made small",
}


def points_of(tables: Tables) -> pd.DataFrame:
    """A row a network, at the tolerance that is judged by, with what the sentences and the figure need of it."""
    rows = tables.frames["minimum_ratio"]
    wanted = tables.provenance["experiment"]["tolerances"][0]
    rows = rows[rows["tolerance"] == wanted]
    signed = rows["positive"] + rows["negative"]
    judged: pd.DataFrame = rows.assign(
        near=rows["gradient_norm"] <= tables.provenance["experiment"]["near"],
        critical=rows["kind"] != "no critical point",
        signed_ratio=rows["positive"] / signed.where(signed > 0),
        zero_share=rows["zero"] / rows["size"],
    )
    return judged


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    points = points_of(tables)
    if points.empty:
        return
    asked = tables.provenance["experiment"]
    near = points[points["near"]]
    tolerance = f"{asked['tolerances'][0]:g} of the longest eigenvalue"
    arrived = int(points["converged"].sum())
    yield (
        f"{counted(len(points), 'network')} of {points['size'].iloc[0]:.0f} weights: {arrived} reached a gradient of "
        f"{asked['gradient']:g}, {len(near)} one of {asked['near']:g}; zero is up to {tolerance}."
    )
    if near.empty:
        yield "None is near a critical point, so nothing is judged."
        return
    kinds = ", ".join(f"{number} {kind}" for kind, number in near["kind"].value_counts().items())
    yield f"Kinds: {kinds}; a kind is named only where the gradient is below that zero too."
    if len(near) == 1 and near["kind"].iloc[0] == "saddle":
        one = near.iloc[0]
        yield (
            f"Along the eigenvector of the largest eigenvalue, {one['highest']:.3g}, it is a minimum, along that of "
            f"the smallest, {one['lowest']:.3g}, a maximum: a minimum in one dimension that is a saddle in two."
        )
    critical = near[near["critical"]]
    if len(near) > 1:
        for words, rows in (("critical points", critical), (f"a gradient up to {asked['near']:g}", near)):
            if len(rows):
                yield ceiling(rows, words)
                yield correlation(rows, words)
        yield from explanation(near)
        yield from tolerances(tables, near)


def ceiling(near: pd.DataFrame, words: str) -> str:
    """Judge L3, first part: no minimum ratio is above 0.7."""
    highest, above = near["minimum_ratio"].max(), int((near["minimum_ratio"] > CEILING).sum())
    verdict = "does not hold" if above else "holds" if len(near) >= ENOUGH else f"undecided by fewer than {ENOUGH}"
    return (
        f"L3 ({words}), minimum ratio never above {CEILING:g}: {verdict}; the highest is {highest:.3g}, {above} of "
        f"{len(near)} are above (the book's dots end at 0.56)."
    )


def correlation(near: pd.DataFrame, words: str) -> str:
    """Judge L3, second part: a lower loss goes with a higher ratio."""
    if near["loss"].nunique() < 3 or near["minimum_ratio"].nunique() < 2:
        return f"L3 ({words}), a lower loss goes with a higher ratio: not to be judged, too few points differ."
    found = spearmanr(near["loss"], near["minimum_ratio"])
    verdict = "undecided" if found.pvalue >= 0.05 else "holds" if found.statistic < 0 else "does not hold"
    return (
        f"L3 ({words}), a lower loss goes with a higher ratio: {verdict}; rank correlation {found.statistic:.2f} "
        f"(p = {found.pvalue:.2g}, {len(near)} networks, those of one seed taken for independent)."
    )


def explanation(near: pd.DataFrame) -> Iterator[str]:
    """Say what the ceiling is made of: negative eigenvalues, or zeros."""
    for (method, critical), rows in near.groupby(["method", "critical"], sort=False):
        given = rows["given_zeros"].iloc[0]
        yield (
            f"{METHOD_NAMES[str(method)].capitalize()}, {'' if critical else 'no '}critical point "
            f"({counted(len(rows), 'network')}): minimum ratio "
            f"{spread(rows['minimum_ratio'])}; near zero {spread(rows['zero_share'])} of all eigenvalues "
            f"({given:.0f} of {rows['size'].iloc[0]:.0f} are zero at every point); positive among those that are not "
            f"{spread(rows['signed_ratio'])}."
        )
    without = 1 - near["zero_share"]
    reached = (near["minimum_ratio"] >= 0.95 * without).mean()
    yield (
        f"At {reached:.0%} of the points at least 95 % of the eigenvalues that are not near zero are positive: "
        "there the zeros alone keep the ratio from 1."
    )


def tolerances(tables: Tables, near: pd.DataFrame) -> Iterator[str]:
    """Say how the ratio depends on what counts as zero."""
    rows = tables.frames["minimum_ratio"]
    key = ["method", "updates", "seed"]
    same = rows.merge(near[key], on=key)
    for tolerance, part in same.groupby("tolerance"):
        if tolerance != near["tolerance"].iloc[0]:
            ratio = spread(part["minimum_ratio"])
            yield f"With zero up to {tolerance:g} of the longest eigenvalue the ratio is {ratio}."


def spread(values: "pd.Series[float]") -> str:
    """Median and range."""
    return f"{values.median():.2f} ({values.min():.2f} to {values.max():.2f})"

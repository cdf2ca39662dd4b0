"""Claims on slices: the paths between both minima and random lines through the large-batch minimum."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from flatmin.figures.captions import significant
from flatmin.report.claim import Claim, Finding, Side
from flatmin.report.published import FIGURE_3, FIGURE_7, LARGE
from flatmin.report.studies import Study
from flatmin.report.values import Reading, path
from flatmin.results.intervals import Interval, of_difference, of_mean, of_ratio, of_share

RISE = 0.1
STEP = 0.1
MIDDLE = 0.5
FEW = 5.0
WITHOUT_BARRIER = ("F1",)


def basin_widths(loss: "pd.Series[float]", rise: float = RISE) -> tuple[float, float]:
    """Widths of the basins around the small-batch minimum (place 0) and the large-batch minimum (place 1).

    A basin is the stretch around its minimum where the loss, linear between the places where it is known, exceeds that
    minimum's by at most ``rise``. It ends with the path; where both basins are one, each is counted up to the middle.

    Args:
        loss: Loss by place on the path; not-a-number counts as infinite.
        rise: In nats.

    Example:
        >>> basin_widths(pd.Series({-1.0: 0.2, 0.0: 0.0, 0.5: 1.0, 1.0: 0.0, 1.5: 1.0}))
        (0.55, 0.1)
    """
    alphas = loss.index.to_numpy(dtype=float)
    heights = np.where(np.isnan(loss), np.inf, loss)
    (low, high), (low_of_large, high_of_large) = (_basin(alphas, heights, place, rise) for place in (0.0, 1.0))
    if high >= 1 or low_of_large <= 0:
        high, low_of_large = min(high, MIDDLE), max(low_of_large, MIDDLE)
    return round(float(high - low), 12), round(float(high_of_large - low_of_large), 12)


def _basin(alphas: np.ndarray, heights: np.ndarray, place: float, rise: float) -> tuple[float, float]:
    center = int(np.argmin(np.abs(alphas - place)))
    level = heights[center] + rise
    if not np.isfinite(level):
        return place, place
    ends = []
    for step in (-1, 1):
        here = center
        while 0 <= here + step < len(alphas) and heights[here + step] <= level:
            here += step
        end = float(alphas[here])
        if 0 <= here + step < len(alphas):
            share = (level - heights[here]) / (heights[here + step] - heights[here])
            end += share * float(alphas[here + step] - alphas[here])
        ends.append(end)
    return ends[0], ends[1]


def barrier(loss: "pd.Series[float]") -> float:
    """How far the loss rises between both minima above the higher one."""
    between = loss[(loss.index >= 0) & (loss.index <= 1)].fillna(np.inf)
    return float(between.max() - max(loss[0.0], loss[1.0]))


def through_both(losses: pd.DataFrame) -> pd.DataFrame:
    """The losses along paths, or none where the places leave out one of the minima."""
    return losses if {0.0, 1.0} <= set(losses.index) else losses.iloc[:, :0]


def wider_basin(kind: str) -> Callable[[Study, Reading], list[Finding]]:
    """K8 on the straight path and K11 on the curved one: width of the basin at 0 less that at 1."""

    def test(study: Study, reading: Reading) -> list[Finding]:
        losses = through_both(path(study, kind))
        widths = pd.DataFrame({seed: basin_widths(losses[seed]) for seed in losses}, dtype=float).T
        if widths.empty:
            return []
        small, large = of_mean(widths[0]), of_mean(widths[1])
        note = f"widths {significant(small.center)} and {significant(large.center)}"
        return [Finding("width at 0 − width at 1", of_difference(widths[0], widths[1]), note=note)]

    return test


def rises_between(study: Study, reading: Reading) -> list[Finding]:
    """K9: the barrier against 0.1 nats; F1 is claimed to have none."""
    losses = through_both(path(study, "linear"))
    heights = pd.Series({seed: barrier(losses[seed]) for seed in losses}, dtype=float)
    wanted: Side = "below" if study.network in WITHOUT_BARRIER else "above"
    return [Finding("barrier", of_mean(heights), RISE, wanted, " nats")]


def wall_beyond_large(study: Study, reading: Reading) -> list[Finding]:
    """K10: loss as far beyond the large-batch minimum as before the small-batch one, a quarter of the path."""
    places = path(study, "linear").reindex([-0.25, 1.25]).T
    return [Finding("loss at 1.25 / loss at −0.25", of_ratio(places[1.25], places[-0.25]), 1.0, unit="×")]


def few_directions_are_sharp(study: Study, reading: Reading) -> list[Finding]:
    """K17: share of random directions along which the loss of the large-batch minimum rises, against 5 %.

    A direction is sharp if the loss rises by more than 0.1 nats within a tenth of each filter's norm. The interval is
    the exact one of a share, so a handful of directions decides nothing.
    """
    lines = study.tables.lines
    rows = lines[(lines["kind"] == "random") & (lines["regime"] == LARGE)]
    rows = rows[(rows["batch_norm"] == "batch") & (rows["split"] == "train") & (rows["alpha"].abs() <= STEP + 1e-9)]
    losses = rows.groupby(["seed", "alpha"])["loss"].mean().unstack("seed").fillna(np.inf)
    if 0.0 not in losses.index or len(losses) < 2:
        return []
    sharp = [float(losses[seed].max() - losses[seed][0.0] > RISE) for seed in losses]
    low, high = of_share(int(sum(sharp)), len(sharp))
    share = Interval(100 * sum(sharp) / len(sharp), 100 * low, 100 * high, tuple(100 * one for one in sharp))
    return [Finding("share of sharp directions", share, FEW, "below", " %", "one random direction for each seed")]


def published_widths(figure: Mapping[str, Mapping[float, float]]) -> Callable[[str], str]:
    """K8 in Fig. 3 and K11 in Fig. 7."""

    def paper(network: str) -> str:
        small, large = basin_widths(pd.Series(figure[network]))
        return f"widths about {small:.2f} and {large:.2f} (read-off)"

    return paper


def published_barrier(network: str) -> str:
    """K9 in Fig. 3."""
    return f"{barrier(pd.Series(FIGURE_3[network])):.2f} nats (read-off)"


def published_wall(network: str) -> str:
    """K10 in Fig. 3, which was not read off at −0.25."""
    return f"{FIGURE_3[network][1.25]:.2f} at 1.25, {FIGURE_3[network][-0.5]:.2f} at −0.5 (read-off)"


CLAIMS = (
    Claim(
        "K8",
        "Straight path: the basin of the small-batch minimum is wider",
        wider_basin("linear"),
        published_widths(FIGURE_3),
        of_the_pair=True,
    ),
    Claim(
        "K9",
        "Straight path: a barrier > 0.1 nats between the minima (none for F1)",
        rises_between,
        published_barrier,
        of_the_pair=True,
    ),
    Claim(
        "K10",
        "Straight path: a wall beyond the large-batch minimum, higher than before the small-batch one",
        wall_beyond_large,
        published_wall,
        of_the_pair=True,
    ),
    Claim(
        "K11",
        "Curved path: the basin of the small-batch minimum is wider",
        wider_basin("curved"),
        published_widths(FIGURE_7),
        of_the_pair=True,
    ),
    Claim(
        "K17",
        "Large-batch minima are steep along few directions: ≤ 5 %",
        few_directions_are_sharp,
        lambda network: "about 5 % of the dimensions",
        of_the_pair=True,
    ),
)

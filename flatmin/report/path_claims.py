"""Claims on the paths between both minima."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatmin.report.claim import FAILS, HOLDS, Claim, Finding, Side
from flatmin.report.published import FIGURE_3, FIGURE_7
from flatmin.report.studies import StudyResults
from flatmin.report.values import Reading, path
from flatmin.results.intervals import ANY, NOT_NEGATIVE, of_difference, of_mean, of_ratio
from flatmin.results.words import counted, significant

RISE = 0.1
MIDDLE = 0.5
WITHOUT_BARRIER = ("F1",)


@dataclass(frozen=True)
class Basin:
    """The stretch of a path around a minimum where the loss is little above that minimum's.

    Attributes:
        width: Its length, the loss taken as linear between the places where it is known.
        least: Of what the places show: 0 if none but the minimum's own is within it, since the line between two places
            is a guess then.
        most: Infinite if the path ends within it; up to the places outside it if none but the minimum's own is within.
    """

    width: float
    least: float
    most: float

    @property
    def is_cut_off(self) -> bool:
        """Whether the path ends within it."""
        return self.most == np.inf

    @property
    def is_below_a_step(self) -> bool:
        """Whether the places are too far apart to tell its width."""
        return self.least < self.width


def basins(loss: "pd.Series[float]", rise: float = RISE) -> tuple[Basin, Basin]:
    """The basins of the small-batch minimum (place 0) and of the large-batch minimum (place 1).

    A basin is the stretch around its minimum where the loss exceeds that minimum's by at most ``rise``. Where both are
    one, each is counted up to the middle.

    Args:
        loss: Loss by place on the path; not-a-number counts as infinite.
        rise: In nats.

    Example:
        >>> small, large = basins(pd.Series({-1.0: 0.0, 0.0: 0.0, 0.5: 1.0, 1.0: 0.0, 1.5: 1.0}))
        >>> small.width, small.is_cut_off
        (1.05, True)
        >>> large.width, large.least, large.most
        (0.1, 0.0, 1.0)
    """
    places = loss.index.to_numpy(dtype=float)
    heights = np.where(np.isnan(loss), np.inf, loss)
    sides = [[_side(places, heights, place, step, rise) for step in (-1, 1)] for place in (0.0, 1.0)]
    if sides[0][1].width >= 1 or sides[1][0].width >= 1:
        sides[0][1] = _up_to_the_middle(sides[0][1])
        sides[1][0] = _up_to_the_middle(sides[1][0])
    small, large = (_whole(*both) for both in sides)
    return small, large


def _whole(left: Basin, right: Basin) -> Basin:
    least = left.least + right.least
    width = round(left.width + right.width, 12)
    seen = least > 0 or width == 0
    cut_off = np.inf in (left.most, right.most)
    return Basin(width, width if seen else 0.0, np.inf if cut_off else width if seen else left.most + right.most)


def _side(places: NDArray[np.float64], heights: NDArray[np.float64], place: float, step: int, rise: float) -> Basin:
    """How far a basin reaches to one side: by the line between places, to the last place within, to the next one."""
    here = center = int(np.argmin(np.abs(places - place)))
    level = heights[center] + rise
    if not np.isfinite(level):
        return Basin(0.0, 0.0, 0.0)
    while 0 <= here + step < len(places) and heights[here + step] <= level:
        here += step
    within = abs(float(places[here] - places[center]))
    if not 0 <= here + step < len(places):
        return Basin(within, within, np.inf)
    gap = abs(float(places[here + step] - places[here]))
    share = float((level - heights[here]) / (heights[here + step] - heights[here]))
    return Basin(within + share * gap, within, within + gap)


def _up_to_the_middle(side: Basin) -> Basin:
    return Basin(min(side.width, MIDDLE), min(side.least, MIDDLE), min(side.most, MIDDLE))


def barrier(loss: "pd.Series[float]") -> float:
    """How far the loss rises between both minima above the higher one."""
    between = loss[(loss.index >= 0) & (loss.index <= 1)].fillna(np.inf)
    return float(between.max() - max(loss[0.0], loss[1.0]))


def through_both(losses: pd.DataFrame) -> pd.DataFrame:
    """The losses along paths, or none where the places leave out one of the minima."""
    return losses if {0.0, 1.0} <= set(losses.index) else losses.iloc[:, :0]


def wider_basin(kind: str) -> Callable[[StudyResults, Reading], list[Finding]]:
    """K8 on the straight path and K11 on the curved one: width of the basin at 0 less that at 1."""

    def test(study: StudyResults, reading: Reading) -> list[Finding]:
        losses = through_both(path(study, kind))
        found = {seed: basins(losses[seed]) for seed in losses.columns.astype(int)}
        return [difference_of_widths(found, float(np.ptp(losses.index)))] if found else []

    return test


def difference_of_widths(found: Mapping[int, tuple[Basin, Basin]], length: float) -> Finding:
    """Width at 0 less width at 1; undecided where it hangs on how far a basin reaches that the path does not show.

    Args:
        found: Both basins by seed.
        length: Of the path.
    """

    def finding(small: str, large: str) -> Finding:
        first, second = (
            pd.Series({seed: getattr(both[place], measure) for seed, both in found.items()}, dtype=float)
            for place, measure in enumerate((small, large))
        )
        bounds = (-length, length) if small == large == "width" else ANY
        return Finding("width at 0 − width at 1", of_difference(first, second, bounds=bounds))

    plain = finding("width", "width")
    sure = {HOLDS: finding("least", "most"), FAILS: finding("most", "least")}.get(plain.verdict, plain)
    unseen = "" if sure.verdict == plain.verdict else "the path does not show how far a basin reaches"
    return replace(plain, note=widths_note(found), hindrance=unseen)


def widths_note(found: Mapping[int, tuple[Basin, Basin]]) -> str:
    """Mean widths of both basins, and how many the path cuts off or has too few places for."""
    means, remarks = [], []
    for place in (0, 1):
        mine = [both[place] for both in found.values()]
        cut_off = [one for one in mine if one.is_cut_off]
        narrow = [one.most for one in mine if one.is_below_a_step]
        means.append(f"{'at least ' if cut_off else ''}{significant(float(np.mean([one.width for one in mine])))}")
        share = f"of {counted(len(mine), 'seed')}"
        remarks += [f"at {place} cut off by the end of the path in {len(cut_off)} {share}"] if cut_off else []
        unresolved = f"at {place} between two places, so at most {significant(max(narrow, default=0.0))}"
        remarks += [f"{unresolved}, in {len(narrow)} {share}"] if narrow else []
    return "; ".join([f"widths {' and '.join(means)}", *remarks])


def rises_between(study: StudyResults, reading: Reading) -> list[Finding]:
    """K9: the barrier against 0.1 nats; F1 is claimed to have none."""
    losses = through_both(path(study, "linear"))
    heights = pd.Series({seed: barrier(losses[seed]) for seed in losses}, dtype=float)
    wanted: Side = "below" if study.network in WITHOUT_BARRIER else "above"
    return [Finding("barrier", of_mean(heights, bounds=NOT_NEGATIVE), RISE, wanted, " nats")]


def wall_beyond_large(study: StudyResults, reading: Reading) -> list[Finding]:
    """K10: loss as far beyond the large-batch minimum as before the small-batch one, a quarter of the path."""
    places = path(study, "linear").reindex([-0.25, 1.25]).T
    return [Finding("loss at 1.25 / loss at −0.25", of_ratio(places[1.25], places[-0.25]), 1.0, unit="×")]


def published_widths(figure: Mapping[str, Mapping[float, float]]) -> Callable[[str], str]:
    """K8 in Fig. 3 and K11 in Fig. 7."""

    def paper(network: str) -> str:
        small, large = basins(pd.Series(figure[network]))
        return f"widths about {small.width:.2f} and {large.width:.2f} (read-off)"

    return paper


def published_barrier(network: str) -> str:
    """K9 in Fig. 3."""
    return f"{barrier(pd.Series(FIGURE_3[network])):.2f} nats (read-off)"


def published_wall(network: str) -> str:
    """K10 in Fig. 3, which was not read off at −0.25."""
    return f"{FIGURE_3[network][1.25]:.2f} at 1.25, {FIGURE_3[network][-0.5]:.2f} at −0.5 (read-off)"


PATH_CLAIMS = (
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
)

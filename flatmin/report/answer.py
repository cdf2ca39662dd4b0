"""The report's answer: is the paper's sharpness the landscape's, or the optimiser's that looks for it?

It leads with what the published search owes to the gradient where training stopped, and says where that is so and where
not. Every sentence follows the numbers, and is left out where they are not there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from flatmin.report.finding import Evidence, Tally
from flatmin.report.finding_tables import single_seeds, spread
from flatmin.report.held_out import interval_text
from flatmin.report.prose import Passage
from flatmin.report.published import EPSILONS, LARGE, SMALL, TABLE_4
from flatmin.report.studies import StudyResults
from flatmin.report.subjects import PUBLISHED, READING, STRONG
from flatmin.report.values import Reading, distributions_of, sharpness
from flatmin.results.intervals import Interval, of_ratio
from flatmin.results.words import SEARCHES, counted, significant

OPEN = "No study has both searches, so the question is open here."


def answer(found: Sequence[Evidence]) -> Passage:
    """Say whether the paper's sharpness is the landscape's or the optimiser's.

    Args:
        found: What both searches say, subject by subject.

    Returns:
        The answer, and a line for each thing that speaks for it or bounds it; it says so where no study has both
        searches.
    """
    if not found:
        return Passage(OPEN)
    lead = gradient(found)
    rest = [orders(found), same_loss(found), doubts(found)]
    lines = [part for part in [lead, shares(found, named=not lead), *rest] if part]
    return Passage(verdict(found), lines)


def verdict(found: Sequence[Evidence]) -> str:
    """Say where the published search turns the order of the two minima round, and where it does not."""
    compared = [one for one in found if one.turned.all]
    turned = [one for one in compared if one.turned.of_these]
    others = [one for one in compared if one not in turned]
    turns = "the published search turns the order of the two minima round in"
    parts = []
    if turned:
        seeds = Tally.total(one.turned for one in turned).text
        parts.append(f"The optimiser's on {names(turned)}, where {turns} {seeds} seeds.")
    if others:
        seeds = counted(sum(one.turned.all for one in others), "seed")
        parts.append(f"The landscape's, as far as that goes, on {names(others)}, where {turns} none of {seeds}.")
    return " ".join(parts)


def gradient(found: Sequence[Evidence]) -> str:
    """Say where the share that the published search finds falls with the gradient; empty without such data.

    The published value is that share of the strong one: where the share varies by no less along the large batch's
    training than the strong value does, the gradient makes up as much of it as the landscape.
    """
    measured = [one for one in found if one.correlation[LARGE].values]
    falling = [one for one in measured if one.correlation[LARGE].low > 0]
    rising = [one for one in measured if one.correlation[LARGE].high < 0]
    undecided = [one for one in measured if one not in falling and one not in rising]
    parts = [f"{words} {ranks(some)}" for words, some in (("undecided for", undecided), ("not so for", rising)) if some]
    return f"{'; '.join([leading(falling), *parts])}." if measured else ""


def leading(falling: Sequence[Evidence]) -> str:
    """Say of networks where the share falls with the gradient whether it does so by as much as the landscape varies."""
    much = [one for one in falling if one.swing[LARGE]["share"].center >= one.swing[LARGE]["strong"].center]
    less = [one for one in falling if one not in much]
    if not falling:
        return "That the published search finds a smaller share of the sharpness at a smaller gradient is nowhere shown"
    if not much:
        share = "the share of a strong search's sharpness that the published one finds"
        return f"Along training on {names(less)} {share} {falls(less)}"
    text = (
        f"At the large batch of {names(much)} what the published search finds goes with the gradient where training "
        f"stopped as much as with the landscape: along training the share of a strong search's sharpness that it finds "
        f"{falls(much)}"
    )
    return f"{text}; on {names(less)} it falls too ({above_zero(less)}), but {by_how_much(less)}" if less else text


def falls(found: Sequence[Evidence]) -> str:
    """Say how surely and how far the share falls with the gradient."""
    values = [value for one in found for value in one.correlation[LARGE].values]
    return (
        f"falls with the gradient (rank correlation {spread(values)} at the large batch, {above_zero(found)}), "
        f"{by_how_much(found)}"
    )


def by_how_much(found: Sequence[Evidence]) -> str:
    """Say by what factor the share varies along training, and the strong value: at the large batch, then the small."""
    parts = []
    for name, regime in (("large", LARGE), ("small", SMALL)):
        share, strong = (
            spread([value for one in found for value in one.swing[regime][column].values])
            for column in ("share", "strong")
        )
        parts.append(f"by a factor of {share} where the strong value varies by {strong} ({name} batch)")
    return ", and ".join(parts)


def above_zero(found: Sequence[Evidence]) -> str:
    """Return in how many seeds the rank correlation is positive, at the large and at the small batch."""
    large, small = (
        Tally.of(pd.Series([value for one in found for value in one.correlation[regime].values], dtype=float) > 0).text
        for regime in (LARGE, SMALL)
    )
    return f"above 0 in {large} seeds, small batch {small}"


def ranks(found: Sequence[Evidence]) -> str:
    """Return the rank correlation of share and gradient at the large batch, network by network."""
    return ", ".join(f"{one.name} {interval_text(one.correlation[LARGE])}" for one in found)


def shares(found: Sequence[Evidence], *, named: bool) -> str:
    """Return how much of the strong value the published search finds at the minima, naming both where asked.

    Networks where it turns the order round are told from the others.
    """
    search, whole = ("the published search", "what a strong one does") if named else ("it", "the strong value")
    parts = [f"{both_shares(some)} of {whole} {where}".rstrip() for some, where in by_order(found) if both_shares(some)]
    return f"At single minima {search} finds {', and '.join(parts)}{boxes(found)}." if parts else ""


def both_shares(found: Sequence[Evidence]) -> str:
    """Return the ranges over single seeds, small and large batch apart; empty without any."""
    values = {name: single_seeds(found, regime) for name, regime in (("small", SMALL), ("large", LARGE))}
    return " and ".join(f"{spread(some)} % ({name} batch)" for name, some in values.items() if some)


def by_order(found: Sequence[Evidence]) -> list[tuple[Sequence[Evidence], str]]:
    """Return the networks where the published search turns the order round in a seed, and the others, with words."""
    turned = [one for one in found if one.turned.of_these]
    others = [one for one in found if one not in turned]
    if not turned or not others:
        return [(found, "")]
    return [(turned, f"on {names(turned)}"), (others, "on the others")]


def boxes(found: Sequence[Evidence]) -> str:
    """Return how often a search finds less than in a smaller box; empty where there is one box."""
    published, strong = (Tally.total(one.impossible[method] for one in found) for method in (PUBLISHED, STRONG))
    if not published.all:
        return ""
    return (
        f", and in {published.text} searches less than in a smaller box inside, which no maximum does (the strong "
        f"search, which starts there: {strong.text})"
    )


def orders(found: Sequence[Evidence]) -> str:
    """Return in how many seeds the large-batch minimum is the sharper one, and where the published search differs."""
    sharper = Tally.total(one.sharper for one in found)
    if not sharper.all:
        return ""
    against = [f"{one.name}: {one.sharper.text}" for one in found if one.sharper.of_these < one.sharper.all]
    ratios = spread([value for one in found for value in one.order[STRONG].values])
    turned = ", ".join(f"in {turns(some)} {where}".rstrip() for some, where in by_order(found))
    return (
        f"The large-batch minimum is the sharper one by the strong search in {sharper.text} seeds of "
        f"{counted(sum(bool(one.sharper.all) for one in found), 'study')}{brackets(against)}, {ratios} times; the "
        f"published one turns this round {turned}."
    )


def turns(found: Sequence[Evidence]) -> str:
    """Return in how many seeds the published search turns the order round, at the minima and on the way."""
    along = Tally.total(one.turned_along for one in found)
    way = f" and {along.text} pairs on the way" if along.all else ""
    return f"{Tally.total(one.turned for one in found).text}{way}"


def doubts(found: Sequence[Evidence]) -> str:
    """Return the networks whose ratio has an interval that includes 1, or none; empty where there are none."""
    groups = {
        "both searches": [one for one in found if len(including_one(one)) == len(SEARCHES)],
        **{f"the {name} search": [one for one in found if including_one(one) == [name]] for name in SEARCHES.values()},
    }
    wide = [f"by {searches} for {names(some)}" for searches, some in groups.items() if some]
    lone = [one for one in found if len(one.order[STRONG].values) == 1]
    parts = [
        *([f"the interval of the ratio includes 1 {' and '.join(wide)}"] if wide else []),
        *([f"a single seed speaks for {names(lone)}"] if lone else []),
    ]
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def including_one(one: Evidence) -> list[str]:
    """Return the searches by which the interval of the ratio at the minima includes 1."""
    return [name for method, name in SEARCHES.items() if one.order[method].low <= 1 <= one.order[method].high]


def same_loss(found: Sequence[Evidence]) -> str:
    """Return the order of the networks where both have come to the same loss; empty where none was measured."""
    measured = [one for one in found if one.equal_loss.order[STRONG].values]
    if not measured:
        return ""
    parts = []
    for some, where in by_order(measured):
        counts = (
            Tally.of(pd.Series([value for one in some for value in one.equal_loss.order[method].values]) > 1).text
            for method in (STRONG, PUBLISHED)
        )
        parts.append(" by the strong and in ".join(counts) + f" by the published search {where}".rstrip())
    return f"Compared at equal loss, the large-batch network is the sharper one in {', in '.join(parts)}."


def subspaces(studies: Sequence[StudyResults]) -> str:
    """Return what the distribution of A does in random subspaces; empty where no study has several.

    Args:
        studies: Those that Table 4 shows.
    """
    ratios: dict[str, list[Interval]] = {}
    off: dict[str, list[float]] = {}
    for study in studies:
        several = distributions_of(study)
        for name in several if len(several) > 1 else []:
            small, large = in_subspaces(study, name)
            if (ratio := of_ratio(large, small)).values:
                ratios.setdefault(name, []).append(ratio)
                off.setdefault(name, []).extend(from_the_paper(study, small, large))
    if not ratios:
        return ""
    counts = "; ".join(f"{name} {sides(found)}" for name, found in ratios.items())
    return (
        "In random subspaces, by entries of A, which the paper leaves open, the published search has the large batch "
        f"sharper, undecided and flatter in so many studies: {counts}{nearest(off)}."
    )


def nearest(off: Mapping[str, Sequence[float]]) -> str:
    """Return which entries come nearest to the paper's values; empty where fewer than two can be compared."""
    means = {name: float(np.exp(np.mean(values))) for name, values in off.items() if values}
    if len(means) < 2:
        return ""
    name = min(means, key=lambda name: means[name])
    return f" ({name} nearest to the paper, off by a factor of {significant(means[name], 2)})"


def from_the_paper(study: StudyResults, *found: "pd.Series[float]") -> list[float]:
    """Return how far the geometric means of small and large batch are from the paper's: mean distance of logarithms."""
    positive = [values[(values > 0) & np.isfinite(values)] for values in found]
    if not study.on_the_papers_data or any(values.empty for values in positive):
        return []
    paper = [TABLE_4[study.network][regime, EPSILONS[0]].mean for regime in (SMALL, LARGE)]
    logs = [float(np.log(values).mean()) for values in positive]
    return [float(np.abs(np.array(logs) - np.log(paper)).mean())]


def in_subspaces(study: StudyResults, distribution: str) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Return the published search's sharpness in random subspaces by seed, of small and large batch."""
    reading = Reading(PUBLISHED, READING)
    small, large = (
        sharpness(study, regime, reading, space="random", distribution=distribution) for regime in (SMALL, LARGE)
    )
    return small, large


def sides(ratios: Sequence[Interval]) -> str:
    """Return in how many studies the interval of a ratio lies above 1, does neither or does not exist, and lies below.

    Example:
        >>> sides([Interval(4.0, 2.0, 8.0, (3.0, 5.0)), Interval(3.0, 0.5, 9.0, (1.0, 9.0))])
        '1, 1, 0'
    """
    above, below = sum(one.low > 1 for one in ratios), sum(one.high < 1 for one in ratios)
    return f"{above}, {len(ratios) - above - below}, {below}"


def names(found: Sequence[Evidence]) -> str:
    """Return the networks."""
    return ", ".join(one.name for one in found)


def brackets(parts: Sequence[str]) -> str:
    """Return parts in brackets after a blank; empty for none.

    Example:
        >>> brackets(["F1 1 of 3", "C1 2 of 3"]), brackets([])
        (' (F1 1 of 3, C1 2 of 3)', '')
    """
    return f" ({', '.join(parts)})" if parts else ""

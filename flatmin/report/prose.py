"""Sentences of the report that must follow the numbers: its answer, what does not reproduce, and its limits.

The answer is to one question: is the paper's sharpness the landscape's, or the optimiser's that looks for it? It leads
with what the published search owes to the gradient where training stopped, and says where that is so and where not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flatmin.figures.captions import counted, significant
from flatmin.report.claim import FAILS, HOLDS, UNDECIDED, Judgement
from flatmin.report.claims import CLAIMS
from flatmin.report.finding import SEARCHES, Count, Evidence
from flatmin.report.finding_tables import single_seeds, spread
from flatmin.report.held_out import interval_text
from flatmin.report.published import EPSILONS, LARGE, NETWORKS, SMALL, TABLE_4
from flatmin.report.sheet import Sheet
from flatmin.report.studies import Study
from flatmin.report.subjects import PUBLISHED, READING, STRONG
from flatmin.report.values import Reading, distributions_of, sharpness
from flatmin.results import markdown
from flatmin.results.intervals import Interval, of_ratio
from flatmin.results.latex import escaped

OPEN = "No study has both searches, so the question is open here."


def answer(found: Sequence[Evidence], studies: Sequence[Study] = ()) -> str:
    """Say whether the paper's sharpness is the landscape's or the optimiser's.

    Args:
        found: What both searches say, subject by subject.
        studies: Those that Table 4 shows, for what the distribution of A does in random subspaces.

    Returns:
        Plain text; it says so where no study has both searches.
    """
    if not found:
        return OPEN
    lead = gradient(found)
    rest = [boxes(found), orders(found), doubts(found), same_loss(found), subspaces(studies)]
    return " ".join(part for part in [lead, shares(found, named=not lead), *rest] if part)


def gradient(found: Sequence[Evidence]) -> str:
    """Say where the share that the published search finds falls with the gradient; empty without such data."""
    measured = [one for one in found if one.correlation[LARGE].values]
    falling = [one for one in measured if one.correlation[LARGE].low > 0]
    rising = [one for one in measured if one.correlation[LARGE].high < 0]
    undecided = [one for one in measured if one not in falling and one not in rising]
    rest = [f"{said} {ranks(some)}" for said, some in (("undecided on", undecided), ("not so on", rising)) if some]
    if not falling:
        claim = "That the published search finds less of a strong one's sharpness where the gradient is smaller is"
        return f"{claim} {'; '.join(rest)} (rank correlation along the large batch's training)." if rest else ""
    return (
        f"The published search measures the size of the gradient where training stopped{as_much(falling)} the share of a "
        "strong search's sharpness that it finds falls with the gradient along training (rank correlation "
        f"{'; '.join([correlations(falling), *rest])}), at the large batch by a factor of {swings(falling, 'share')} "
        f"where the strong value varies by {swings(falling, 'strong')}."
    )


def as_much(found: Sequence[Evidence]) -> str:
    """Say whether the share varies as much as the strong value, their product being what is found, and name networks."""
    much = [one for one in found if one.swing[LARGE]["share"].center >= one.swing[LARGE]["strong"].center]
    less = [one for one in found if one not in much]
    if much and less:
        return f": on {names(much)} (there as much as the landscape) and {names(less)}"
    return f"{' as much as' if much else ' beside'} the landscape: on {names(found)}"


def correlations(found: Sequence[Evidence]) -> str:
    """Return the range of the rank correlations at the large batch, and how many are positive at either batch."""
    large, small = ([value for one in found for value in one.correlation[regime].values] for regime in (LARGE, SMALL))
    positive, beside = (Count.of(pd.Series(values, dtype=float) > 0).text for values in (large, small))
    return f"{spread(large)} at the large batch, above 0 in {positive} seeds; at the small batch in {beside}"


def ranks(found: Sequence[Evidence]) -> str:
    """Return the rank correlation of share and gradient at the large batch, network by network."""
    return ", ".join(f"{one.name} {interval_text(one.correlation[LARGE])}" for one in found)


def swings(found: Sequence[Evidence], column: str) -> str:
    """Return the range over single seeds of the factor by which a column varies along the large batch's training."""
    return spread([value for one in found for value in one.swing[LARGE][column].values])


def shares(found: Sequence[Evidence], *, named: bool) -> str:
    """Return how much of the strong value the published search finds at the minima, naming both where asked."""
    values = {name: single_seeds(found, regime) for name, regime in (("small", SMALL), ("large", LARGE))}
    parts = [f"{spread(some)} % ({name} batch)" for name, some in values.items() if some]
    search, whole = ("the published search", "what a strong one does") if named else ("it", "the strong value")
    return f"At single minima {search} finds {' and '.join(parts)} of {whole}." if parts else ""


def boxes(found: Sequence[Evidence]) -> str:
    """Return how often a search finds less than in a smaller box; empty where there is one box."""
    published, strong = (Count.total(one.impossible[method] for one in found) for method in (PUBLISHED, STRONG))
    if not published.all:
        return ""
    return (
        f"In {published.text} searches it finds less than in a smaller box inside, which no maximum does; the strong "
        f"one, which starts there too, in {strong.text}."
    )


def orders(found: Sequence[Evidence]) -> str:
    """Return in how many seeds the large-batch minimum is the sharper one, and where the published search differs."""
    sharper = Count.total(one.sharper for one in found)
    if not sharper.all:
        return ""
    against = [f"{one.name} {one.sharper.text}" for one in found if one.sharper.of_these < one.sharper.all]
    turned = [f"{one.name} {one.turned.text}" for one in found if one.turned.of_these]
    ratios = spread([value for one in found for value in one.order[STRONG].values])
    along = Count.total(one.turned_along for one in found)
    way = f" and in {along.text} pairs on the way" if along.all else ""
    return (
        f"By the strong search the large-batch minimum is the sharper one in {sharper.text} seeds of "
        f"{counted(sum(bool(one.sharper.all) for one in found), 'study')}{brackets(against)}, {ratios} times; the "
        f"published one turns this round in {Count.total(one.turned for one in found).text}{brackets(turned)}{way}."
    )


def doubts(found: Sequence[Evidence]) -> str:
    """Return the networks whose ratio has an interval that includes 1, or none; empty where there are none."""
    wide = [f"{one.name} ({' and '.join(including_one(one))} search)" for one in found if including_one(one)]
    lone = [one for one in found if len(one.order[STRONG].values) == 1]
    parts = [
        *([f"the interval of the ratio includes 1 for {', '.join(wide)}"] if wide else []),
        *([f"a single seed speaks for {names(lone)}"] if lone else []),
    ]
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def including_one(one: Evidence) -> list[str]:
    """Return the searches by which the interval of the ratio at the minima includes 1."""
    return [name for method, name in SEARCHES.items() if one.order[method].low <= 1 <= one.order[method].high]


def same_loss(found: Sequence[Evidence]) -> str:
    """Return the order of the networks where both have come to the same loss; empty where none was measured."""
    strong, published = (
        [value for one in found for value in one.equal_loss.order[method].values] for method in (STRONG, PUBLISHED)
    )
    if not strong:
        return ""
    counts = [Count.of(pd.Series(values) > 1).text for values in (strong, published)]
    return (
        f"At equal loss on the way the large-batch network is the sharper one in {counts[0]} seeds by the strong and in "
        f"{counts[1]} by the published search."
    )


def subspaces(studies: Sequence[Study]) -> str:
    """Return what the distribution of A does in random subspaces; empty where no study has several."""
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
        "In random subspaces, by entries of A, which the paper does not state, the published search has the large batch "
        f"sharper, undecided and flatter in so many studies: {counts}{nearest(off)}."
    )


def nearest(off: Mapping[str, Sequence[float]]) -> str:
    """Return which entries come nearest to the paper's values; empty where fewer than two can be compared."""
    means = {name: float(np.exp(np.mean(values))) for name, values in off.items() if values}
    if len(means) < 2:
        return ""
    name = min(means, key=lambda name: means[name])
    return f" ({name} nearest to the paper's values, off by a factor of {significant(means[name], 2)})"


def from_the_paper(study: Study, *found: "pd.Series[float]") -> list[float]:
    """Return how far the geometric means of small and large batch are from the paper's: mean distance of logarithms."""
    positive = [values[(values > 0) & np.isfinite(values)] for values in found]
    if not study.on_the_papers_data or any(values.empty for values in positive):
        return []
    paper = [TABLE_4[study.network][regime, EPSILONS[0]].mean for regime in (SMALL, LARGE)]
    logs = [float(np.log(values).mean()) for values in positive]
    return [float(np.abs(np.array(logs) - np.log(paper)).mean())]


def in_subspaces(study: Study, distribution: str) -> "tuple[pd.Series[float], pd.Series[float]]":
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


@dataclass(frozen=True)
class Passage:
    """A sentence with a list below it; either may be empty."""

    lead: str
    lines: Sequence[str] = ()

    @property
    def latex(self) -> str:
        """The passage as LaTeX."""
        items = [rf"\item {escaped(line)}" for line in self.lines]
        whole = [r"\begin{itemize}", *items, r"\end{itemize}"] if items else []
        return "\n".join([*([escaped(self.lead)] if self.lead else []), *whole]) + "\n"

    @property
    def markdown(self) -> str:
        """The passage as Markdown."""
        items = [f"- {markdown.escaped(line)}" for line in self.lines]
        parts = [markdown.escaped(self.lead), "\n".join(items)]
        return "\n\n".join(part for part in parts if part) + "\n"


def misses(judgements: Sequence[Judgement], studies: Sequence[Study]) -> list[Passage]:
    """Return the claims that do not hold in some study, then those that lean against."""
    labels = {study.name: study.label for study in studies}
    judged = [one for one in judgements if one.headline and one.verdict in (HOLDS, FAILS, UNDECIDED)]
    if not judged:
        return [Passage("Nothing was judged.")]
    failing = [one for one in judged if one.verdict == FAILS]
    against = [one for one in judged if one.verdict == UNDECIDED and one.leaning == "against"]
    statements = {claim.name: claim.statement for claim in CLAIMS}
    found = [Passage(f"Of {counted(len(judged), 'judgement')} in all:")]
    for lead, chosen in (("These claims do not hold", failing), ("These are undecided, but lean against", against)):
        lines = [
            f"{one.claim}, {statements[one.claim]}. {labels[one.study]}: {one.evidence}; the paper: {one.paper or '–'}."
            for one in chosen
        ]
        found.append(Passage(f"{lead}:" if lines else f"{lead}: none.", lines))
    return found


def limits(studies: Sequence[Study]) -> Passage:
    """Return what is reduced, study by study, and the networks without a study."""
    lines = [f"{study.name} ({study.label}): {'. '.join(study.reduced) or 'nothing is reduced'}." for study in studies]
    absent = [network for network in NETWORKS if network not in {study.network for study in studies}]
    last = f"{', '.join(absent)}: not run." if absent else "Every network of the paper was run."
    return Passage("", [*lines, last])


def studies_sheet(studies: Sequence[Study]) -> Sheet:
    """Return the studies with what they are and the commits they were made at."""
    lines = [
        [study.name, study.label, ", ".join(dict.fromkeys(c[:7] for c in study.commits)) or "–"] for study in studies
    ]
    sides = r"l>{\raggedright\arraybackslash}p{0.42\linewidth}>{\raggedright\arraybackslash}p{0.25\linewidth}"
    frame = pd.DataFrame(lines, columns=["study", "what", "commits"])
    return Sheet("studies", "The frozen studies that everything here is made of.", frame, sides=sides)

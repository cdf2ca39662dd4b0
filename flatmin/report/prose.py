"""Sentences of the report that must follow the numbers: its answer, what does not reproduce, and its limits.

The answer is to one question: is the paper's sharpness the landscape's, or the optimiser's that looks for it? It
compares the published search with the strong one at the same minima: batch statistics, full space, the larger epsilon,
the seeds that have both searches at both minima.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatmin.figures.captions import counted, significant
from flatmin.report.claim import FAILS, HOLDS, UNDECIDED, Judgement
from flatmin.report.claims import CLAIMS
from flatmin.report.published import EPSILONS, LARGE, NETWORKS, SMALL, TABLE_4
from flatmin.report.sheet import Sheet
from flatmin.report.studies import Study
from flatmin.report.values import Reading, distributions_of, sharpness
from flatmin.results import markdown
from flatmin.results.latex import escaped

LIKE = 1.5
"""Two sharpnesses within this factor of each other are called alike."""


@dataclass(frozen=True)
class Comparison:
    """Both searches, or both readings of BatchNorm, at the minima of one study, over the seeds that have all.

    Attributes:
        study: The study.
        seeds: How many.
        lost: Further seeds where a sharpness is 0 or infinite, which have no ratio.
        first: Sharpness of large over small batch by the first, geometric mean over seeds.
        second: The same by the second.
        small: The first over the second at the small-batch minima.
        large: The same at the large-batch minima.
    """

    study: Study
    seeds: int
    lost: int
    first: float
    second: float
    small: float
    large: float


def compared(study: Study, first: Reading, second: Reading) -> Comparison | None:
    """Compare two readings; ``None`` where no seed has both at both minima, all positive and finite."""
    columns = [sharpness(study, regime, reading) for reading in (first, second) for regime in (SMALL, LARGE)]
    table = pd.concat(columns, axis="columns", join="inner").to_numpy(float).reshape(-1, 4)
    logs = np.log(table[np.all((table > 0) & np.isfinite(table), axis=1)])
    if not len(logs):
        return None
    first_small, first_large, second_small, second_large = (float(value) for value in logs.mean(axis=0))
    return Comparison(
        study,
        len(logs),
        len(table) - len(logs),
        first=float(np.exp(first_large - first_small)),
        second=float(np.exp(second_large - second_small)),
        small=float(np.exp(first_small - second_small)),
        large=float(np.exp(first_large - second_large)),
    )


def answer(studies: Sequence[Study]) -> str:
    """Say whether the paper's sharpness is the landscape's or the optimiser's.

    Args:
        studies: Those that Tables 2 to 4 show.

    Returns:
        Plain text; it says so where no study has both searches.
    """
    published, strong = Reading("paper", "batch"), Reading("strong", "batch")
    found = [one for study in studies if (one := compared(study, published, strong))]
    if not found:
        return "No study has both searches, so the question is open here."
    said = verdict(found)
    if all(one.seeds == 1 for one in found):
        said = f"As far as single seeds tell, {said[:1].lower()}{said[1:]}"
    return " ".join([said, orders(found), sizes(found), *statistics(studies), *subspaces(studies)])


def verdict(found: Sequence[Comparison]) -> str:
    """Return the answer in one sentence."""
    reversed_by_strong = [one for one in found if one.second <= 1]
    missed = [one for one in found if one.second > 1 >= one.first]
    if any(one.first > 1 for one in reversed_by_strong):
        made = [one for one in reversed_by_strong if one.first > 1]
        return f"In part it is the optimiser's: for {names(made)} the paper's order vanishes under a strong search."
    if reversed_by_strong:
        return f"It is the landscape's, but for {names(reversed_by_strong)} the order is not the paper's."
    if missed:
        return (
            "The order is the landscape's, but the published search does not always see it: "
            f"for {names(missed)} it reverses the order that a strong search finds."
        )
    if all(1 / LIKE < share < LIKE for one in found for share in (one.small, one.large)):
        return "Order and size are the landscape's: both searches find about the same."
    return "The order is the landscape's; the size is in part the optimiser's."


def orders(found: Sequence[Comparison]) -> str:
    """Return by how much the large-batch minimum is the sharper one, by either search."""
    strong, published = spread([one.second for one in found]), spread([one.first for one in found])
    seeds = counted(sum(one.seeds for one in found), "seed")
    lost = sum(one.lost for one in found)
    text = (
        f"In {counted(len(found), 'study')} ({names(found)}; {seeds} in all) the sharpness of the large-batch minimum "
        f"is {strong} times that of the small-batch one by a strong search and {published} times by the published one."
    )
    return f"{text} Left out: {counted(lost, 'seed')} with a sharpness of 0 or infinity." if lost else text


def sizes(found: Sequence[Comparison]) -> str:
    """Return how much of the strong search's value the published one finds."""
    small, large = ([100 * getattr(one, regime) for one in found] for regime in ("small", "large"))
    return (
        f"The published search finds {spread(small)} % of what the strong one finds at small-batch minima and "
        f"{spread(large)} % at large-batch ones."
    )


def statistics(studies: Sequence[Study]) -> list[str]:
    """Return what running instead of batch statistics do to the sharpness; nothing where no study has both."""
    running, batch = Reading("strong", "running"), Reading("strong", "batch")
    found = [one for study in studies if (one := compared(study, running, batch))]
    if not found:
        return []
    small, large = spread([one.small for one in found]), spread([one.large for one in found])
    return [
        f"With BatchNorm's running statistics in place of the batch's the strong search finds {small} times as much at "
        f"small-batch minima and {large} times at large-batch ones ({names(found)})."
    ]


def subspaces(studies: Sequence[Study]) -> list[str]:
    """Return what the distribution of A does in random subspaces; nothing where no study has several."""
    sharper: dict[str, list[bool]] = {}
    off: dict[str, list[float]] = {}
    for study in studies:
        several = distributions_of(study)
        for name in several if len(several) > 1 else []:
            if (logs := mean_logs(study, name)) is None:
                continue
            sharper.setdefault(name, []).append(bool(logs[1] > logs[0]))
            if study.on_the_papers_data:
                paper = np.log([TABLE_4[study.network][regime, EPSILONS[0]].mean for regime in (SMALL, LARGE)])
                off.setdefault(name, []).append(float(np.abs(logs - paper).mean()))
    if not sharper:
        return []
    counts = [f"{sum(found)} of {len(found)} with {name} entries" for name, found in sharper.items()]
    text = (
        "In random subspaces, whose distribution the paper does not state, the published search finds the large-batch "
        f"minimum the sharper one in this share of the studies: {', '.join(counts)}"
    )
    nearest = min(off, key=lambda name: float(np.mean(off[name]))) if len(off) > 1 else ""
    return [f"{text}; {nearest} entries come nearest to the paper's values." if nearest else f"{text}."]


def mean_logs(study: Study, distribution: str) -> NDArray[np.float64] | None:
    """Return the mean logarithm over seeds of the published search's sharpness in random subspaces, small and large."""
    reading = Reading("paper", "batch")
    pair = [sharpness(study, regime, reading, space="random", distribution=distribution) for regime in (SMALL, LARGE)]
    table = pd.concat(pair, axis="columns", join="inner").to_numpy(float).reshape(-1, 2)
    table = table[np.all((table > 0) & np.isfinite(table), axis=1)]
    return np.log(table).mean(axis=0) if len(table) else None


def spread(values: Sequence[float]) -> str:
    """Return a range of numbers, or the one.

    Example:
        >>> spread([4.0, 70.0]), spread([98.5])
        ('4.0 to 70', '98')
    """
    low, high = significant(min(values), 2), significant(max(values), 2)
    return low if low == high else f"{low} to {high}"


def names(found: Sequence[Comparison]) -> str:
    """Return the networks, with the variant of those that have two."""
    labels = [f"{one.study.network}{f' ({one.study.variant})' if one.study.variant else ''}" for one in found]
    return ", ".join(dict.fromkeys(labels))


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

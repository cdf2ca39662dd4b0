"""What all seeds of all networks together say of each claim, and how many intervals the verdicts rest on."""

from collections.abc import Sequence

import pandas as pd

from flatmin.report.claim import Judgement
from flatmin.results.intervals import LEVEL
from flatmin.results.significance import holm, sign_test
from flatmin.results.words import counted, significant


def pooled(judgements: Sequence[Judgement], names: Sequence[str]) -> pd.DataFrame:
    """The sign test of each claim over the seeds of all networks.

    Args:
        judgements: The headline of each study that counts is taken, whatever its verdict; of a network with several
            studies the one with the most seeds.
        names: Of the claims.

    Returns:
        One row per claim: `claim`, the seeds that speak for it (`seeds_for`) and against it (`seeds_against`), the
        two-sided `p` of the exact sign test and the same adjusted as Holm does for all claims with seeds (`holm`), both
        NaN without seeds.
    """
    counts = []
    for name in names:
        mine = one_a_network([one for one in judgements if one.claim == name and one.headline and one.counts])
        counts.append((name, sum(one.seeds_for for one in mine), sum(one.seeds_against for one in mine)))
    frame = pd.DataFrame(counts, columns=["claim", "seeds_for", "seeds_against"])
    tested = frame[frame["seeds_for"] + frame["seeds_against"] > 0]
    p = [sign_test(first, second) for first, second in zip(tested["seeds_for"], tested["seeds_against"], strict=True)]
    found = pd.DataFrame({"p": p, "holm": holm(p)}, index=tested.index, dtype=float)
    return frame.join(found)


def one_a_network(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Of each network the judgement with the most seeds, or the first: seeds of one start are not two trials."""
    chosen: dict[str, Judgement] = {}
    for one in judgements:
        best = chosen.setdefault(one.network, one)
        if one.seeds_for + one.seeds_against > best.seeds_for + best.seeds_against:
            chosen[one.network] = one
    return list(chosen.values())


def share_of_seeds(seeds_for: int, seeds_against: int) -> str:
    """How many seeds speak for a claim.

    Example:
        >>> share_of_seeds(12, 0), share_of_seeds(0, 0)
        ('12 of 12', '–')
    """
    total = seeds_for + seeds_against
    return f"{seeds_for} of {total}" if total else "–"


def probability(value: float) -> str:
    """A p-value to two digits.

    Example:
        >>> probability(0.00048828), probability(1.0), probability(float("nan"))
        ('0.00049', '1.0', '–')
    """
    return significant(value, 2)


def chance_sentence(judgements: Sequence[Judgement]) -> str:
    """How many intervals the verdicts rest on, and how many of these would miss by chance."""
    number = sum(one.intervals for one in judgements if one.headline)
    if not number:
        return "No verdict rests on an interval."
    missing = significant((1 - LEVEL) * number, 2)
    return (
        f"The verdicts rest on {counted(number, 'interval')} of {100 * LEVEL:g} %; about {missing} of them would miss "
        "by chance alone, even if all that they suppose were so."
    )

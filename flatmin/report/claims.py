"""The claims K1 to K20 of Keskar et al. (2017), judged by every study that can, and summed up over the networks."""

from collections.abc import Iterable, Sequence

import pandas as pd

from flatmin.report import direction_claims, path_claims, remedy_claims, sharpness_claims, training_claims
from flatmin.report.claim import FAILS, HOLDS, NOT_RUN, UNDECIDED, Claim, Judgement
from flatmin.report.pooled import pooled, share_of_seeds
from flatmin.report.studies import StudyResults, main_studies

CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        training_claims.TRAINING_CLAIMS
        + sharpness_claims.SHARPNESS_CLAIMS
        + path_claims.PATH_CLAIMS
        + direction_claims.DIRECTION_CLAIMS
        + remedy_claims.REMEDY_CLAIMS,
        key=lambda claim: int(claim.name[1:]),
    )
)
MIXED = "mixed"
WHERE_DECIDED = " where decided"
OUTCOMES = (HOLDS, f"{HOLDS}{WHERE_DECIDED}", FAILS, f"{FAILS}{WHERE_DECIDED}", MIXED, UNDECIDED, NOT_RUN)


def judge(studies: Sequence[StudyResults]) -> list[Judgement]:
    """Judge every claim by every study that has what it takes.

    Args:
        studies: The studies.

    Returns:
        The judgements, claim by claim: for each study one, or one for each reading of sharpness, of which the first
        speaks for the study (`Judgement.headline`); for each network without any, one that says "not run".
    """
    main = main_studies(studies)
    return [judgement for claim in CLAIMS for judgement in judged(claim, main if claim.of_the_pair else studies)]


def judged(claim: Claim, studies: Iterable[StudyResults]) -> list[Judgement]:
    """Judge one claim."""
    found = [judgement for study in studies for judgement in claim.judged(study)]
    having = {judgement.network for judgement in found if judgement.counts}
    return found + [claim.not_run(network) for network in claim.networks if network not in having]


def overview(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """What comes out of each claim.

    Args:
        judgements: As `judge` returns them. The headline of each study counts, if it is on the paper's data.

    Returns:
        One row per claim: claim, statement, the networks for which it holds, does not hold, is undecided or was not
        run, and the `verdict`, one of `OUTCOMES`: "holds" or "does not hold" where all judged studies agree, with
        "where decided" if some decide nothing, "undecided" where none decides, "mixed" where they contradict. Then
        what all seeds together say: `seeds`, such as "12 of 12", `p` of the sign test, and `holm`, the same adjusted
        for the number of claims.
    """
    rows = []
    for claim in CLAIMS:
        mine = [one for one in judgements if one.claim == claim.name and one.headline and one.counts]
        places: dict[str, list[str]] = {
            verdict: [place(one, mine) for one in mine if one.verdict == verdict]
            for verdict in (HOLDS, FAILS, UNDECIDED, NOT_RUN)
        }
        row = {"claim": claim.name, "statement": claim.statement, "verdict": overall(places)}
        rows.append(row | {verdict: ", ".join(names) for verdict, names in places.items()})
    tests = pooled(judgements, [claim.name for claim in CLAIMS])
    seeds = [share_of_seeds(*counts) for counts in zip(tests["seeds_for"], tests["seeds_against"], strict=True)]
    return pd.DataFrame(rows).assign(seeds=seeds, p=tests["p"], holm=tests["holm"])


def place(judgement: Judgement, among: Sequence[Judgement]) -> str:
    """The network, with what its study is where there are several, and the leaning of an undecided claim."""
    rivals = [one for one in among if one.network == judgement.network and one.study != judgement.study]
    marks = [distinction(judgement, rivals), judgement.leaning]
    marks = [mark for mark in marks if mark]
    return f"{judgement.network} ({', '.join(marks)})" if marks else judgement.network


def distinction(judgement: Judgement, rivals: Sequence[Judgement]) -> str:
    """The shortest of variant, kind and name of the study that no rival shares; empty without rivals."""
    if not rivals:
        return ""
    for name in ("variant", "kind"):
        if all(getattr(one, name) != getattr(judgement, name) for one in rivals):
            return str(getattr(judgement, name))
    return judgement.study


def overall(places: dict[str, list[str]]) -> str:
    """The verdict of a claim over its networks."""
    decided = [verdict for verdict in (HOLDS, FAILS) if places[verdict]]
    if len(decided) == 2:
        return MIXED
    if decided:
        return f"{decided[0]}{WHERE_DECIDED}" if places[UNDECIDED] else decided[0]
    return UNDECIDED if places[UNDECIDED] else NOT_RUN


def frame(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """The judgements as a table, for ``claims.csv``."""
    columns = [
        *("claim", "network", "study", "reading", "headline", "counts", "verdict", "leaning"),
        *("seeds_for", "seeds_against", "intervals", "ours", "paper", "evidence"),
    ]
    return pd.DataFrame([{column: getattr(one, column) for column in columns} for one in judgements], columns=columns)


def readings_sentence(judgements: Sequence[Judgement], claim: str, study: str) -> str:
    """Whether the readings of one study's sharpness agree on a claim: is it the landscape's or the optimiser's?

    Returns:
        A sentence without its full stop; empty where there are fewer than two readings.
    """
    mine = [one for one in judgements if one.claim == claim and one.study == study and one.reading]
    if len(mine) < 2:
        return ""
    said = {one.said for one in mine}
    if len(said) == 1:
        return f"all {len(mine)} readings agree: {said.pop()}"
    return "the readings disagree: " + "; ".join(f"{one.reading} {one.said}" for one in mine)

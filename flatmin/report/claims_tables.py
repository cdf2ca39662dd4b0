"""The claims as tables: over the networks in one page, study by study in several, and in the terminal."""

from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from flatmin.report.claim import FAILS, HOLDS, NOT_RUN, UNDECIDED, Judgement
from flatmin.report.claims import OUTCOMES, overview
from flatmin.report.pooled import chance_sentence, probability
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults, told_apart
from flatmin.report.values import HEADLINE

VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN)
BY_READING = ("K3", "K4", "K5")
RAGGED = r">{\raggedright\arraybackslash}p"
LINE = r"\linewidth"
STYLES = dict(zip(OUTCOMES, ("green", "green", "red", "red", "magenta", "yellow", "dim"), strict=True))
RULE = (
    "A claim holds if the 95 % intervals of all its numbers do, does not hold if one lies on the other side, and is "
    "undecided otherwise; with one seed there is no interval, and the bracket says where the number lies."
)
POOLED = (
    "Seeds: of those of all networks, of each those of the study with most, how many speak for the claim, that is have "
    "all its numbers on the wanted side; none speaks where a number was not recorded with batch statistics. "
    "p: the two-sided sign test of these. Holm: the same adjusted for the number of claims. By chance a claim of one "
    "number has half of the seeds and a claim of several fewer, so that seeds against it prove less."
)

NONE_JUDGED = (
    "No claim of the paper is judged: none of these studies has what one takes, for one of its networks on that "
    "network's data. The report has what they found."
)
SEARCH = (
    f"Sharpness is judged by the {HEADLINE.label}, where no other reading has more of a study's seeds; what other "
    "readings say is in the table of the four readings."
)


def overview_sheet(judgements: Sequence[Judgement]) -> Sheet:
    """What comes out of each claim over the networks."""
    frame = overview(judgements)[["claim", "statement", "verdict", *VERDICTS, "seeds", "p", "holm"]]
    frame[["p", "holm"]] = frame[["p", "holm"]].map(probability).astype(object)
    caption = f"The claims of the paper over its networks. {RULE} {SEARCH} {POOLED} {chance_sentence(judgements)}"
    sides = "l" + "".join(f"{RAGGED}{{{width}{LINE}}}" for width in (0.18, 0.08, 0.11, 0.07, 0.1, 0.07, 0.05)) + "rr"
    headings = {"claim": "", "statement": "claim", "holm": "Holm"}
    return Sheet("claims", caption, frame.rename(columns=headings), sides=sides, long=True)


def judgements_sheet(judgements: Sequence[Judgement], studies: Sequence[StudyResults]) -> Sheet:
    """Every headline judgement that was run, with our numbers and the paper's."""
    labels = told_apart(studies)
    lines: list[list[str]] = []
    for claim, statement in overview(judgements)[["claim", "statement"]].itertuples(index=False):
        mine = [one for one in judgements if one.claim == claim and one.headline and one.verdict != NOT_RUN]
        if mine:
            lines.append([f"{claim}. {statement}", "", "", ""])
        lines += [[f"  {labels[one.study]}", one.evidence, one.paper, one.said] for one in mine]
    frame = pd.DataFrame(lines, columns=["", "ours", "paper", "verdict"])
    sides = "".join(f"{RAGGED}{{{width}{LINE}}}" for width in (0.25, 0.36, 0.17, 0.1))
    caption = f"The claims of the paper, study by study: our numbers with their 95 % intervals. {RULE}"
    return Sheet("judgements", caption, frame, sides=sides, long=True)


def readings_sheet(judgements: Sequence[Judgement], studies: Sequence[StudyResults]) -> Sheet:
    """Is it the landscape's or the optimiser's? What each reading says of the claims on both minima."""
    lines: list[list[str]] = []
    for study in studies:
        mine = [one for one in judgements if one.study == study.name and one.claim in BY_READING and one.reading]
        readings = dict.fromkeys(one.reading for one in mine)
        said = {(one.reading, one.claim): f"{one.values}: {one.said}" for one in mine}
        lines += [[study.label, *[""] * len(BY_READING)]] if readings else []
        lines += [[f"  {name}", *(said.get((name, claim), NOT_RUN) for claim in BY_READING)] for name in readings]
    caption = (
        "Is the large-batch minimum the sharper one? Sharpness of large over small batch, geometric mean over seeds, "
        f"in each of the four readings: the full space at both ε (K3, K4) and random subspaces (K5). {RULE}"
    )
    sides = f"l{f'{RAGGED}{{0.17{LINE}}}' * len(BY_READING)}"
    return Sheet("landscape", caption, pd.DataFrame(lines, columns=["", *BY_READING]), sides=sides)


def terminal_table(judgements: Sequence[Judgement]) -> Table | str:
    """What comes out of each claim, for the terminal; where no claim was judged a line that says why."""
    if all(one.verdict == NOT_RUN for one in judgements if one.counts):
        return NONE_JUDGED
    table = Table("", "claim", "verdict", "networks", "seeds", "p (Holm)", box=SIMPLE, pad_edge=False)
    for row in overview(judgements).to_dict("records"):
        style = STYLES[row["verdict"]]
        places = [f"{verdict}: {row[verdict]}" for verdict in VERDICTS if row[verdict] and row["verdict"] != NOT_RUN]
        said = f"[{style}]{row['verdict']}[/]"
        table.add_row(row["claim"], row["statement"], said, "\n".join(places), row["seeds"], probability(row["holm"]))
    return table

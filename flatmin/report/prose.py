"""Sentences of the report that must follow the numbers: what does not reproduce, and its limits."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from flatmin.report.claim import FAILS, HOLDS, UNDECIDED, Judgement
from flatmin.report.claims import CLAIMS
from flatmin.report.protocol import SET_UPS
from flatmin.report.published import NETWORKS
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults
from flatmin.results import markdown
from flatmin.results.latex import escaped
from flatmin.results.words import counted, significant, span

NOTHING = "No network has left a minimum."


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


def scope(studies: Sequence[StudyResults]) -> Passage:
    """Return what was run and how much of it, study by study, and which of the paper's networks were not."""
    parts = [*dict.fromkeys(f"{study.label}{share_of_examples(study)}" for study in studies)]
    return Passage(f"{not_run(studies)}Run were:", parts) if parts else Passage(NOTHING)


def scope_in_short(studies: Sequence[StudyResults]) -> str:
    """Return the same network by network, in a sentence for an abstract."""
    parts = []
    for network in NETWORKS:
        if of_it := [study for study in studies if study.network == network]:
            data = " and ".join(dict.fromkeys(study.data for study in of_it))
            epochs = span(pd.concat([study.pair["epochs"].dropna() for study in of_it]), "epoch")
            seeds = span(pd.Series([len(study.seeds) for study in of_it]), "seed")
            some = shares([known for study in of_it if (known := share(study))])
            parts.append(f"{network} on {data} ({', '.join(filter(None, [epochs, seeds, some]))})")
    return f"Run were {', '.join(parts)}. {not_run(studies)}".strip() if parts else NOTHING


def shares(known: Sequence[float]) -> str:
    """A range of shares of the training examples; empty where none is known."""
    ends = dict.fromkeys(significant(100 * end(known), 2) for end in (min, max) if known)
    return f"{' to '.join(ends)} % of the training examples" if ends else ""


def not_run(studies: Sequence[StudyResults]) -> str:
    """Say which of the paper's networks have no study; empty if all have one."""
    absent = [network for network in NETWORKS if network not in {study.network for study in studies}]
    return f"{', '.join(absent)} were not run. " if absent else ""


def share_of_examples(study: StudyResults) -> str:
    """How much of the paper's training examples a study has, where less than all; empty where it is not known."""
    known = share(study)
    return f" on {significant(100 * known, 2)} % of the training examples" if 0 < known < 1 else ""


def share(study: StudyResults) -> float:
    """That share, of other data than the paper's 1, and 0 where it is not known."""
    return study.training_examples / SET_UPS[study.network].train if study.on_their_kind else 1.0


def misses(judgements: Sequence[Judgement], studies: Sequence[StudyResults]) -> list[Passage]:
    """Return the claims that do not hold in some study, then those that lean against."""
    labels = {study.name: study.label for study in studies}
    judged = [one for one in judgements if one.headline and one.counts and one.verdict in (HOLDS, FAILS, UNDECIDED)]
    if not judged:
        return [Passage("Nothing was judged.")]
    failing = [one for one in judged if one.verdict == FAILS]
    against = [one for one in judged if one.verdict == UNDECIDED and one.leaning == "against"]
    statements = {claim.name: claim.statement for claim in CLAIMS}
    found = [Passage(f"There are {counted(len(judged), 'judgement')} on the paper's data in all.")]
    for lead, chosen in (("These claims do not hold", failing), ("These are undecided, but lean against", against)):
        lines = [
            f"{one.claim}, {statements[one.claim]}. {labels[one.study]}: {one.evidence}; the paper: {one.paper or '–'}."
            for one in chosen
        ]
        found.append(Passage(f"{lead}:" if lines else f"{lead}: none.", lines))
    return found


def limits(studies: Sequence[StudyResults]) -> Passage:
    """Return what is reduced, study by study, and the networks without a study."""
    reduced = [". ".join(remark.text for remark in study.reduced) or "nothing is reduced" for study in studies]
    lines = [f"{study.name} ({study.label}): {told}." for study, told in zip(studies, reduced, strict=True)]
    absent = [network for network in NETWORKS if network not in {study.network for study in studies}]
    last = f"{', '.join(absent)}: not run." if absent else "Every network of the paper was run."
    return Passage("", [*lines, last])


def studies_sheet(studies: Sequence[StudyResults]) -> Sheet:
    """Return the studies with what they are and the commits they were made at."""
    lines = [
        [study.name, study.label, ", ".join(dict.fromkeys(c[:7] for c in study.commits)) or "–"] for study in studies
    ]
    sides = r"l>{\raggedright\arraybackslash}p{0.42\linewidth}>{\raggedright\arraybackslash}p{0.25\linewidth}"
    frame = pd.DataFrame(lines, columns=["study", "what", "commits"])
    return Sheet("studies", "The frozen studies that everything here is made of.", frame, sides=sides)

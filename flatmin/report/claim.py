"""What a claim is, what the seeds say of it, and how that becomes a verdict.

A claim is put as numbers that must lie on one side of a boundary. It holds if the confidence intervals of all of them
do, does not hold if one of them lies on the other side, and is undecided if an interval includes its boundary or does
not exist: with one seed there is none, whatever the number. An undecided claim says where its centers lie ("for" or
"against").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flatmin.figures.captions import counted, significant
from flatmin.report.published import NETWORKS
from flatmin.report.studies import Study
from flatmin.report.values import HEADLINE, Reading
from flatmin.results.intervals import Interval

Verdict = Literal["holds", "does not hold", "undecided", "not run"]
Leaning = Literal["for", "against", ""]
Side = Literal["above", "below"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNDECIDED: Verdict = "undecided"
NOT_RUN: Verdict = "not run"


@dataclass(frozen=True)
class Finding:
    """One number that a claim rests on.

    Attributes:
        what: Its name.
        interval: What the seeds say of it.
        boundary: Where the claim begins to hold.
        wanted: On which side of the boundary.
        unit: Written behind the number, such as `` points``; ``×`` is written before it.
        note: A remark on how it was found.
        digits: Significant ones.
    """

    what: str
    interval: Interval
    boundary: float = 0.0
    wanted: Side = "above"
    unit: str = ""
    note: str = ""
    digits: int = 3

    @property
    def verdict(self) -> Verdict:
        """Where the interval lies."""
        interval = self.interval
        if not interval.values:
            return NOT_RUN
        if interval.exists:
            low, high = interval.low - self.boundary, interval.high - self.boundary
            if self.wanted == "below":
                low, high = -high, -low
            if low > 0:
                return HOLDS
            if high < 0:
                return FAILS
        return UNDECIDED

    @property
    def leaning(self) -> Leaning:
        """Where the center lies; where there is none, most seeds."""
        excess = self.interval.center - self.boundary
        if math.isnan(excess):
            excess = self.interval.above(self.boundary) - self.interval.below(self.boundary)
        if self.wanted == "below":
            excess = -excess
        return "for" if excess > 0 else "against" if excess < 0 else ""

    @property
    def value(self) -> str:
        """The number with its unit."""
        return self._with_unit(self.interval.center)

    @property
    def text(self) -> str:
        """The number with its interval and seeds, such as ``ratio ×4.00 [×2.10, ×7.60], 5 of 5 seeds > 1``."""
        interval = self.interval
        if not interval.values:
            return f"{self.what}: not run"
        ends = f" [{self._with_unit(interval.low)}, {self._with_unit(interval.high)}]" if interval.exists else ""
        sign, number = (">", interval.above) if self.wanted == "above" else ("<", interval.below)
        total = len(interval.values)
        seeds = f"{number(self.boundary)} of {counted(total, 'seed')} {sign} {self.boundary:g}"
        lost = ", no interval: a value is 0 or infinite" if total > 1 and not interval.exists else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.what} {self.value}{ends}, {seeds}{lost}{note}"

    def _with_unit(self, value: float) -> str:
        number = significant(value, self.digits)
        number = f"−{number[1:]}" if number.startswith("-") else number
        return f"×{number}" if self.unit == "×" else f"{number}{self.unit}"


def verdict_of(findings: Sequence[Finding]) -> tuple[Verdict, Leaning]:
    """What several numbers together say of a claim, and where an undecided one leans."""
    verdicts = [finding.verdict for finding in findings]
    if not findings or NOT_RUN in verdicts:
        return NOT_RUN, ""
    if FAILS in verdicts:
        return FAILS, ""
    if UNDECIDED not in verdicts:
        return HOLDS, ""
    leanings = {finding.leaning for finding in findings}
    return UNDECIDED, "against" if "against" in leanings else "for" if leanings == {"for"} else ""


@dataclass(frozen=True)
class Judgement:
    """What one study says of one claim.

    Attributes:
        claim: Such as ``K3``.
        network: Such as ``C1``.
        verdict: The verdict.
        values: Our numbers alone.
        ours: Our numbers with their names.
        paper: The paper's.
        evidence: Our numbers with intervals and seeds.
        leaning: Where an undecided one leans.
        study: Name of the study; empty where there is none.
        variant: Whose convolutions the network has.
        kind: What tells the study from others of its network.
        reading: How sharpness was read; empty where the claim is not about it.
        headline: Whether this reading speaks for the study.
        counts: Whether it enters the claim's summary: its data are the paper's, or a sample of them.
    """

    claim: str
    network: str
    verdict: Verdict
    values: str
    ours: str
    paper: str
    evidence: str
    leaning: Leaning = ""
    study: str = ""
    variant: str = ""
    kind: str = ""
    reading: str = ""
    headline: bool = True
    counts: bool = True

    @property
    def said(self) -> str:
        """The verdict with its leaning, such as ``undecided (for)``."""
        return f"{self.verdict} ({self.leaning})" if self.leaning else self.verdict


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        name: Such as ``K3``.
        statement: What is claimed.
        test: The numbers that decide it, from a study and a reading of sharpness; none where the study lacks them.
        paper: The paper's own numbers for a network.
        networks: Those it is claimed for; others are judged where they were run.
        readings: In which it is judged; without, it is not about sharpness.
        of_the_pair: Judged by the studies of Tables 2 to 4 alone.
    """

    name: str
    statement: str
    test: Callable[[Study, Reading], list[Finding]]
    paper: Callable[[str], str]
    networks: tuple[str, ...] = NETWORKS
    readings: tuple[Reading, ...] = field(default=())
    of_the_pair: bool = False

    def judged(self, study: Study) -> list[Judgement]:
        """The study's judgements: one, or one for each reading that it has; the first is the headline."""
        found: list[Judgement] = []
        for reading in self.readings or (HEADLINE,):
            findings = self.test(study, reading)
            if verdict_of(findings)[0] != NOT_RUN:
                found.append(self._judgement(study, reading, findings, headline=not found))
        return found

    def not_run(self, network: str) -> Judgement:
        """What is to be said of a network without a study."""
        return Judgement(
            self.name,
            network,
            verdict=NOT_RUN,
            values=NOT_RUN,
            ours=NOT_RUN,
            paper=self.paper(network),
            evidence=NOT_RUN,
        )

    def _judgement(self, study: Study, reading: Reading, findings: list[Finding], *, headline: bool) -> Judgement:
        verdict, leaning = verdict_of(findings)
        return Judgement(
            self.name,
            study.network,
            verdict,
            values=", ".join(finding.value for finding in findings),
            ours="; ".join(f"{finding.what} {finding.value}" for finding in findings),
            paper=self.paper(study.network),
            evidence="; ".join(finding.text for finding in findings),
            leaning=leaning,
            study=study.name,
            variant=study.variant,
            kind=study.kind,
            reading=reading.label if self.readings else "",
            headline=headline,
            counts=study.on_their_kind,
        )

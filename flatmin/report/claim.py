"""What a claim is, what the seeds say of it, and how that becomes a verdict.

A claim is put as numbers that must lie on one side of a boundary. It holds if the confidence intervals of all of them
do, does not hold if one of them lies on the other side, and is undecided if an interval includes its boundary or does
not exist: with one seed there is none, whatever the number. It is undecided, too, where something keeps a number from
deciding, whatever its interval. An undecided claim says where its centers lie ("for" or "against").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from flatmin.report.eligible import disorder, eligible, left_out, the_pair, unfitted, without_minimum
from flatmin.report.published import NETWORKS
from flatmin.report.studies import StudyResults
from flatmin.report.values import HEADLINE, Reading
from flatmin.results.intervals import Interval
from flatmin.results.words import counted, signed, significant

Verdict = Literal["holds", "does not hold", "undecided", "not run"]
Leaning = Literal["for", "against", ""]
Side = Literal["above", "below"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNDECIDED: Verdict = "undecided"
NOT_RUN: Verdict = "not run"
BATCH_STATISTICS = "batch statistics"
UNRECORDED = "running averages alone: with batch statistics it was not recorded"


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
        hindrance: What keeps it from deciding, whatever the interval; empty where nothing does.
    """

    what: str
    interval: Interval
    boundary: float = 0.0
    wanted: Side = "above"
    unit: str = ""
    note: str = ""
    digits: int = 3
    hindrance: str = ""

    @property
    def verdict(self) -> Verdict:
        """Where the interval lies."""
        interval = self.interval
        if not interval.values:
            return NOT_RUN
        if interval.exists and not self.hindrance:
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
        if not self.interval.values:
            return f"{self.what}: not run"
        lost = len(self.interval.values) > 1 and not self.interval.exists
        facts = [self.numbers, self.seeds, *(["no interval: a value is 0 or infinite"] if lost else [])]
        remarks = "; ".join(part for part in (self.note, self.hindrance) if part)
        return f"{self.what} {', '.join(facts)}{f' ({remarks})' if remarks else ''}"

    @property
    def numbers(self) -> str:
        """The number with its interval."""
        low, high = self._with_unit(self.interval.low), self._with_unit(self.interval.high)
        return f"{self.value} [{low}, {high}]" if self.interval.exists else self.value

    @property
    def seeds(self) -> str:
        """How many seeds lie on the wanted side, such as ``5 of 5 seeds > 1``."""
        sign, number = (">", self.interval.above) if self.wanted == "above" else ("<", self.interval.below)
        total = counted(len(self.interval.values), "seed")
        return f"{number(self.boundary)} of {total} {sign} {self.boundary:g}"

    @property
    def sides(self) -> dict[int, int]:
        """By seed, 1 where its value is on the wanted side of the boundary, -1 on the other, 0 on neither."""
        wanted = 1 if self.wanted == "above" else -1
        return {
            seed: wanted * ((value > self.boundary) - (value < self.boundary))
            for seed, value in zip(self.interval.seeds, self.interval.values, strict=True)
        }

    def _with_unit(self, value: float) -> str:
        number = signed(significant(value, self.digits))
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


def seeds_of(findings: Sequence[Finding]) -> int:
    """How many seeds have all of the numbers."""
    return min(len(finding.interval.values) for finding in findings)


def split(findings: Sequence[Finding]) -> tuple[int, int]:
    """How many seeds speak for a claim, and how many against it.

    A seed speaks for it if all numbers lie on the wanted side, and against it if one lies on the other; it needs all of
    them. None speaks where something keeps a number from deciding.

    Args:
        findings: The numbers of the claim.
    """
    if not findings or any(finding.hindrance for finding in findings):
        return 0, 0
    by_seed = [finding.sides for finding in findings]
    worst = [min(sides[seed] for sides in by_seed) for seed in set.intersection(*map(set, by_seed))]
    return worst.count(1), worst.count(-1)


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
        seeds_for: Seeds that speak for the claim.
        seeds_against: Seeds that speak against it.
        intervals: How many confidence intervals the verdict rests on.
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
    seeds_for: int = 0
    seeds_against: int = 0
    intervals: int = 0

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
        compares: The regimes of a study that it is about.
        statistics: How BatchNorm is read, where it is not about sharpness; empty where that does not matter.
        tells_fit: Whether networks that have not fitted their training set are named.
    """

    name: str
    statement: str
    test: Callable[[StudyResults, Reading], list[Finding]]
    paper: Callable[[str], str]
    networks: tuple[str, ...] = NETWORKS
    readings: tuple[Reading, ...] = field(default=())
    of_the_pair: bool = False
    compares: Callable[[StudyResults], Sequence[str]] = the_pair
    statistics: str = BATCH_STATISTICS
    tells_fit: bool = False

    def judged(self, study: StudyResults) -> list[Judgement]:
        """The study's judgements: one, or one for each reading that it has.

        Of these the one that most seeds have is the headline, of equals the first. A study that has what it takes but
        cannot be judged says why, as not run.
        """
        if reason := disorder(study):
            return [self._of(study, self.not_run(study.network, f"not judged: {reason}"))]
        sound = eligible(study)
        tested = {reading: self.test(sound, reading) for reading in self.readings or (HEADLINE,)}
        run = {reading: findings for reading, findings in tested.items() if verdict_of(findings)[0] != NOT_RUN}
        speaks = max(run, key=lambda reading: seeds_of(run[reading]), default=None)
        found = [
            self._judgement(study, reading, findings, headline=reading == speaks) for reading, findings in run.items()
        ]
        if not found and (reason := without_minimum(study, self.compares(study))):
            return [self._of(study, self.not_run(study.network, f"not judged: {reason}"))]
        return found

    def not_run(self, network: str, why: str = NOT_RUN) -> Judgement:
        """What is to be said of a network without a study, or whose study cannot be judged."""
        return Judgement(
            self.name,
            network,
            verdict=NOT_RUN,
            values=NOT_RUN,
            ours=NOT_RUN,
            paper=self.paper(network),
            evidence=why,
        )

    def _of(self, study: StudyResults, judgement: Judgement) -> Judgement:
        return replace(judgement, study=study.name, variant=study.variant, kind=study.kind, counts=study.on_their_kind)

    def _judgement(
        self, study: StudyResults, reading: Reading, findings: list[Finding], *, headline: bool
    ) -> Judgement:
        verdict, leaning = verdict_of(findings)
        seeds_for, seeds_against = split(findings)
        judgement = Judgement(
            self.name,
            study.network,
            verdict,
            values=", ".join(dict.fromkeys(finding.value for finding in findings)),
            ours="; ".join(f"{finding.what} {finding.value}" for finding in findings),
            paper=self.paper(study.network),
            evidence=self._evidence(study, reading, findings),
            leaning=leaning,
            reading=reading.label if self.readings else "",
            headline=headline,
            seeds_for=seeds_for,
            seeds_against=seeds_against,
            intervals=len({id(finding.interval) for finding in findings if finding.interval.exists}),
        )
        return self._of(study, judgement)

    def _evidence(self, study: StudyResults, reading: Reading, findings: list[Finding]) -> str:
        """The numbers, how they were read, and what is to be said of the networks behind them."""
        regimes = self.compares(study)
        read = reading.label if self.readings else self.statistics
        if not self.readings and all(UNRECORDED in finding.hindrance for finding in findings):
            read = ""
        remarks = [left_out(study, regimes), unfitted(study, regimes) if self.tells_fit else ""]
        parts = [*(finding.text for finding in findings), *(remark for remark in remarks if remark)]
        return f"{f'{read}: ' if read else ''}{'; '.join(parts)}"

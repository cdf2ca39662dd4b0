r"""Every number that the report's text may quote as a LaTeX macro, so that none is typed.

``\flatminFOneTestSmall`` is a mean with its spread, ``\flatminFOneTestSmallMean`` the mean alone. A name is made of the
study (``keskar_f1`` gives ``FOne``, ``keskar_c1_text`` gives ``COneText``, ``fig4_c1`` gives ``FigFourCOne``), the row
where a table has several of a study, and the column; ``Paper`` before it is the paper's number for a network. The six
studies ``keskar_f1`` ... ``keskar_c4`` have all their macros whether they were run or not. ``Finding`` before a name is
a number on both searches, of all networks or, as in ``FindingFOneShareLarge``, of those of one study.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from flatmin.core.errors import ResultsError
from flatmin.report.cells import Table
from flatmin.report.claim import FAILS, HOLDS, NOT_RUN, UNDECIDED, Judgement
from flatmin.report.claims import CLAIMS, OUTCOMES, overview, readings_sentence
from flatmin.report.effort import EFFORT
from flatmin.report.finding import Evidence
from flatmin.report.finding_tables import NUMBERS, numbers_of, totals
from flatmin.report.pooled import chance_sentence, probability
from flatmin.report.protocol import PROTOCOL
from flatmin.report.published import NETWORKS
from flatmin.report.studies import StudyResults, main_studies
from flatmin.report.tables import MAIN_TABLES, REMEDY_TABLES
from flatmin.report.values import READING_PREFIXES, readings_of, searches
from flatmin.results.latex import escaped

DECIMALS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def numbers_tex(found: Mapping[str, str]) -> str:
    r"""The `macros` as a file for ``\input``."""
    lines = [rf"\newcommand{{\flatmin{name}}}{{{escaped(text)}}}" for name, text in found.items()]
    return "\n".join(["% Written by `flatmin report`; every number comes from a frozen study.", *lines]) + "\n"


def numbers_frame(found: Mapping[str, str]) -> pd.DataFrame:
    """The `macros` as a list to look names up in."""
    return pd.DataFrame({"macro": [rf"\flatmin{name}" for name in found], "text": list(found.values())})


def macros(
    studies: Sequence[StudyResults], judgements: Sequence[Judgement], finding: Sequence[Evidence]
) -> dict[str, str]:
    """Name (without ``flatmin``) and plain text of every macro.

    Raises:
        ResultsError: If the names of two studies are the same in words.
    """
    check_names(studies)
    found = dict(of_absent_studies())
    main = main_studies(studies)
    for tables, shown in ((MAIN_TABLES, main), ((*REMEDY_TABLES, EFFORT), studies)):
        for table in tables:
            found |= dict(of_the_paper(table))
            found |= dict(of_a_table(table, shown))
    for study in studies:
        found |= dict(of_a_study(study))
    found |= dict(of_the_claims(judgements))
    found |= dict(of_the_finding(finding))
    found |= {f"Protocol{name}": text for name, text in PROTOCOL.items()}
    return found


def words(name: str) -> str:
    """A study's name in letters only.

    Example:
        >>> words("keskar_f1"), words("keskar_c1_text"), words("fig4_c1"), words("K12")
        ('FOne', 'COneText', 'FigFourCOne', 'KOneTwo')
    """
    parts = re.split(r"[^A-Za-z0-9]+", name.removeprefix("keskar_"))
    spelled = (re.sub(r"[0-9]", lambda digit: DECIMALS[int(digit[0])], part) for part in parts)
    return "".join(part[:1].upper() + part[1:] for part in spelled)


def check_names(studies: Sequence[StudyResults]) -> None:
    """Refuse two studies whose macros would have the same names.

    Raises:
        ResultsError: If the names of two studies are the same in words.
    """
    seen: dict[str, str] = {}
    for study in studies:
        other = seen.setdefault(words(study.name), study.name)
        if other != study.name:
            raise ResultsError(f"the studies {other} and {study.name} have the same name in words; rename one folder.")


def of_absent_studies() -> Iterator[tuple[str, str]]:
    """The macros of the six studies of the pair, as if none was run."""
    rows = {name: ["", *(reading.macro for reading in READING_PREFIXES)] for name in ("readings", "sharpness")}
    rows["accuracy"] = ["", "Running"]
    for network in NETWORKS:
        for table in MAIN_TABLES:
            for row in rows.get(table.name, [""]):
                for column in table.columns:
                    yield f"{words(network)}{row}{column.macro}", NOT_RUN
                    yield f"{words(network)}{row}{column.macro}Mean", NOT_RUN
        for fact in ("Seeds", "Epochs", "Data", "Label", "Examples", "Reading"):
            yield f"{words(network)}{fact}", NOT_RUN
        for claim in CLAIMS:
            for part in ("Verdict", "Ours", "Evidence", "Readings"):
                yield f"{words(network)}{words(claim.name)}{part}", NOT_RUN
        for name in NUMBERS:
            yield f"Finding{words(network)}{name}", NOT_RUN


def of_the_paper(table: Table) -> Iterator[tuple[str, str]]:
    """The paper's numbers."""
    for network in table.networks:
        for column in table.columns:
            text = column.paper_text(network)
            if text != "–":
                yield f"Paper{words(network)}{column.macro}", text


def of_a_table(table: Table, studies: Sequence[StudyResults]) -> Iterator[tuple[str, str]]:
    """The cells of a table."""
    for network in table.networks:
        for study, row in table.entries(studies, network):
            for column in table.columns:
                text = column.text(study, row)
                name = f"{words(study.name)}{row.macro}{column.macro}"
                yield name, text
                yield f"{name}Mean", text.partition(" ±")[0]


def of_a_study(study: StudyResults) -> Iterator[tuple[str, str]]:
    """What a study rests on."""
    name = words(study.name)
    yield f"{name}Seeds", str(len(study.seeds))
    yield f"{name}Epochs", study.epochs
    yield f"{name}Data", study.data
    yield f"{name}Label", study.label
    for reading in readings_of(study)[:1]:
        examples = searches(study, reading)["examples"].max()
        yield f"{name}Reading", reading.label
        yield f"{name}Examples", f"{examples:,.0f}"


def of_the_finding(found: Sequence[Evidence]) -> Iterator[tuple[str, str]]:
    """What both searches say of all networks, and of those of each study that leads."""
    for name, text in totals(found).items():
        yield f"Finding{name}", text
    for one in found:
        for name, text in numbers_of(one).items():
            yield f"Finding{words(one.subject.lead.name)}{name}", text


def of_the_claims(judgements: Sequence[Judgement]) -> Iterator[tuple[str, str]]:
    """Verdicts over the networks, study by study, and how many claims have which."""
    frame = overview(judgements)
    for row in frame.to_dict("records"):
        name = words(str(row["claim"]))
        yield f"{name}Verdict", str(row["verdict"])
        for verdict in (HOLDS, FAILS, UNDECIDED, NOT_RUN):
            yield f"{name}{verdict.title().replace(' ', '')}", str(row[verdict]) or "none"
        yield f"{name}PooledSeeds", str(row["seeds"])
        yield f"{name}SignTest", probability(row["p"])
        yield f"{name}Holm", probability(row["holm"])
    for outcome in OUTCOMES:
        yield f"Claims{outcome.title().replace(' ', '')}", str(int((frame["verdict"] == outcome).sum()))
    yield "ClaimsByChance", chance_sentence(judgements)
    for one in judgements:
        if one.study and one.headline:
            name = f"{words(one.study)}{words(one.claim)}"
            yield f"{name}Verdict", one.said
            yield f"{name}Ours", one.ours
            yield f"{name}Evidence", one.evidence
            if one.reading:
                yield f"{name}Readings", readings_sentence(judgements, one.claim, one.study) or "one reading"

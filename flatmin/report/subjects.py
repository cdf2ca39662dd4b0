"""Whose minima they are: trained networks that one study, or several of the same networks, has searched both ways.

Studies made for different tables or figures train the same pair again, and training is exact: their minima lie at the
same distance from the start. Such studies are taken together, so that no network counts twice, even if they share the
large-batch networks alone; what is said of them is then that of the study with most examples searched on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from flatmin.report.eligible import disorder
from flatmin.report.published import EPSILONS, LARGE, NETWORKS, SMALL
from flatmin.report.studies import STRIDES, StudyResults
from flatmin.results.nesting import NESTED_SEARCH

PUBLISHED, STRONG = "paper", "strong"
READING = "batch"
"""BatchNorm as in the authors' code; networks without BatchNorm have no other."""
SUBJECT_SETTING = ["examples", "partition"]
POINT = ["regime", "seed", "epoch", "epsilon"]
SAME = [*POINT, *SUBJECT_SETTING]


@dataclass(frozen=True, eq=False)
class Subject:
    """Networks trained alike, by both methods, and every search at them.

    Attributes:
        studies: Those that have them; the first one speaks for their label.
        name: Such as ``F1`` or ``C1 (text strides)``, unlike that of any other subject beside it.
    """

    studies: Sequence[StudyResults]
    name: str = ""

    @property
    def lead(self) -> StudyResults:
        """The study that speaks for the networks."""
        return self.studies[0]

    @property
    def network(self) -> str:
        """Such as ``C1``."""
        return self.lead.network

    @cached_property
    def searches(self) -> pd.DataFrame:
        """Every search at the small-batch and the large-batch networks, each once."""
        rows = pd.concat([searches_of(study) for study in self.studies], ignore_index=True)
        return rows.drop_duplicates([*NESTED_SEARCH, "epsilon"], ignore_index=True)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """What both searches found in the full space at the same point, with the `share` that the published one found.

        The epoch of a minimum is infinite. Points where the strong search found nothing, or a loss is not finite, have
        no share and are left out.
        """
        rows = self.searches[(self.searches["space"] == "full") & (self.searches["batch_norm"] == READING)]
        rows = rows.assign(epoch=rows["epoch"].astype(float).fillna(np.inf))
        methods = [rows[rows["method"] == method] for method in (PUBLISHED, STRONG)]
        published = methods[0][[*SAME, "sharpness", "gradient_norm", "base_loss"]]
        published = published.rename(columns={"sharpness": "published"})
        strong = methods[1][[*SAME, "sharpness"]].rename(columns={"sharpness": "strong"})
        both = published.merge(strong, on=SAME)
        shared: pd.DataFrame = both[(both["strong"] > 0) & np.isfinite(both["published"]) & np.isfinite(both["strong"])]
        return shared.assign(share=shared["published"] / shared["strong"]).reset_index(drop=True)

    def minima(self, epsilon: float = EPSILONS[0]) -> pd.DataFrame:
        """The `pairs` at the minima in one box, on the examples that most of them were searched on."""
        at_end = np.isinf(self.pairs["epoch"])
        return in_one_setting(self.pairs[at_end & np.isclose(self.pairs["epsilon"], epsilon, rtol=1e-6)])

    def along(self, epsilon: float = EPSILONS[0]) -> pd.DataFrame:
        """The `pairs` along training and at its end in one box, in time; none where nothing was measured on the way."""
        rows = self.pairs[np.isclose(self.pairs["epsilon"], epsilon, rtol=1e-6)]
        way = in_one_setting(rows[np.isfinite(rows["epoch"])])
        keys = [*["regime", "seed"], *SUBJECT_SETTING]
        return rows.merge(way[keys].drop_duplicates(), on=keys).sort_values("epoch", kind="stable", ignore_index=True)


def searches_of(study: StudyResults) -> pd.DataFrame:
    """The searches at the pair of a study, without the networks that have left no minimum."""
    trained = study.pair[["regime", "seed"]].drop_duplicates()
    return study.tables.sharpness.merge(trained, on=["regime", "seed"])


def in_one_setting(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on as many examples and in such batches as most are; where two have equally many, on more examples."""
    if rows.empty:
        return rows
    counts = rows.groupby(SUBJECT_SETTING, dropna=False).size().reset_index(name="count")
    most = counts.sort_values(["count", *SUBJECT_SETTING]).iloc[[-1]]
    return rows.merge(most[SUBJECT_SETTING], on=SUBJECT_SETTING)


def subjects(studies: Iterable[StudyResults]) -> list[Subject]:
    """The networks that were searched both ways, in the paper's order, those on other data than the paper's last.

    Args:
        studies: All studies; a pair whose large batch is not the larger one is left out. Of those of the same networks,
            one made for Tables 2 to 4 leads, then one of more seeds.
    """
    found = [study for study in studies if len(study.pair) and len(study.tables.sharpness) and not disorder(study)]
    groups: list[list[StudyResults]] = []
    for study in sorted(found, key=lambda study: (not study.compares_the_pair, -len(study.seeds))):
        home = next((group for group in groups if same_networks(group[0], study)), None)
        groups.append([study]) if home is None else home.append(study)
    groups.sort(key=lambda group: (NETWORKS.index(group[0].network), not group[0].on_their_kind, found.index(group[0])))
    able = [group for group in groups if len(Subject(group).pairs)]
    names = short_names([group[0] for group in able])
    return [Subject(tuple(group), name) for group, name in zip(able, names, strict=True)]


def same_networks(one: StudyResults, other: StudyResults) -> bool:
    """Whether two studies have trained the same networks: those of the same regime and seed end at the same place."""
    if (one.network, one.variant, one.data_name) != (other.network, other.variant, other.data_name):
        return False
    keys, place = ["regime", "seed", "batch_size", "epochs"], "distance_from_start"
    common = one.pair[[*keys, place]].merge(other.pair[[*keys, place]], on=keys)
    return bool(len(common)) and bool(np.isclose(common[f"{place}_x"], common[f"{place}_y"], rtol=1e-6).all())


def short_names(studies: Sequence[StudyResults]) -> list[str]:
    """Names of studies beside each other: the network with strides and other data, and more where needed."""
    facts = [
        [*(part for part in study.variant.split(", ") if part in STRIDES.values()), other_data(study)]
        for study in studies
    ]
    for further in ("variant", "epochs", "name"):
        names = [named(study.network, known) for study, known in zip(studies, facts, strict=True)]
        for study, known, name in zip(studies, facts, names, strict=True):
            more = str(getattr(study, further)).split(", ") if names.count(name) > 1 else []
            known += [part for part in more if part not in known]
    return [named(study.network, known) for study, known in zip(studies, facts, strict=True)]


def other_data(study: StudyResults) -> str:
    """The data in a word where they are neither the paper's nor a sample of them."""
    return "" if study.on_their_kind else study.data.partition(" (")[0]


def named(network: str, facts: Iterable[str]) -> str:
    """A network with facts in brackets.

    Example:
        >>> named("C1", ["text strides", "", "30 epochs"]), named("F1", [""])
        ('C1 (text strides, 30 epochs)', 'F1')
    """
    said = ", ".join(fact for fact in facts if fact)
    return f"{network} ({said})" if said else network


def of_regimes(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of the small and of the large batch."""
    return {regime: rows[rows["regime"] == regime] for regime in (SMALL, LARGE)}

"""The studies that a report is made of: the tables of one experiment and what its provenance says of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from flatmin.core.errors import ResultsError
from flatmin.report.other_kinds import Other, is_other
from flatmin.report.published import DATA, LARGE, NETWORKS, SMALL, WIDTH
from flatmin.results import Tables
from flatmin.results.groups import with_remedies_named
from flatmin.results.measured import by_rule
from flatmin.results.remarks import Remark, remarks
from flatmin.results.statistics import of_minima, proper
from flatmin.results.words import DATA_NAMES, counted, span

STRIDES = {"code": "code strides", "paper": "text strides"}
TWO_VARIANTS = ("C1", "C3")
Asked = ParamSpec("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One experiment's results.

    Attributes:
        name: Of its folder.
        tables: What was measured.
        kept: What functions marked with `once` have found of it.
    """

    name: str
    tables: Tables
    kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            facts = self.experiment["network"]["name"], self.experiment["data"]["name"]
        except (KeyError, TypeError) as error:
            raise ResultsError(
                f"the provenance of {self.name} must have experiment.network.name and experiment.data.name; "
                "write the tables with `flatmin run`."
            ) from error
        if facts[0] not in NETWORKS:
            raise ResultsError(f"the network of {self.name} must be one of {', '.join(NETWORKS)}, got {facts[0]!r}.")

    @property
    def experiment(self) -> dict[str, Any]:
        """The whole experiment."""
        return dict(self.tables.experiment)

    @property
    def network(self) -> str:
        """Such as ``C1``."""
        return str(self.experiment["network"]["name"])

    @property
    def variant(self) -> str:
        """Whose convolutions it has, where paper and code differ, and how wide it is, where not as the paper's."""
        network = self.experiment["network"]
        variant, width = str(network.get("variant", "code")), network.get("width")
        strides = STRIDES.get(variant, variant) if self.network in TWO_VARIANTS else ""
        return ", ".join(fact for fact in (strides, f"{width} wide" if width not in (None, WIDTH) else "") if fact)

    @property
    def data(self) -> str:
        """The data set as people name it."""
        return DATA_NAMES.get(self.data_name, self.data_name)

    @cached_property
    def data_name(self) -> str:
        """The data set as the tables name it, which tells a sample from a corpus."""
        found = self.tables.minima["data"].dropna()
        return str(found.iloc[0] if len(found) else self.experiment["data"]["name"])

    @property
    def on_the_papers_data(self) -> bool:
        """Whether the paper has this network on these data."""
        return self.data_name == DATA[self.network]

    @property
    def on_their_kind(self) -> bool:
        """Whether these data are the paper's or a sample of them."""
        return self.data_name in (DATA[self.network], f"{DATA[self.network]}_sample")

    @cached_property
    def pair(self) -> Any:
        """The finished minima of the small-batch and the large-batch method."""
        minima = self.tables.minima
        return proper(minima[minima["regime"].isin([SMALL, LARGE])])

    @property
    def seeds(self) -> list[int]:
        """Seeds with a minimum of either method."""
        return sorted({int(seed) for seed in self.pair["seed"]})

    @property
    def training_examples(self) -> int:
        """How many it was trained on, 0 where the provenance does not say."""
        return int((self.tables.provenance.get("examples") or {}).get("curves") or 0)

    @property
    def epochs(self) -> str:
        """How long was trained, such as ``100 epochs``."""
        return span(self.pair["epochs"].dropna(), "epoch")

    @property
    def kind(self) -> str:
        """What tells it from other studies of its network, such as ``text strides, 30 epochs``."""
        data = "" if self.on_the_papers_data else self.data
        return ", ".join(fact for fact in (self.variant, data, self.epochs) if fact)

    @property
    def label(self) -> str:
        """What it is, such as ``C1 (text strides), CIFAR-10, 30 epochs, 1 seed``."""
        variant = f" ({self.variant})" if self.variant else ""
        each = self.pair.groupby("regime")["seed"].nunique()
        facts = [f"{self.network}{variant}", self.data, self.epochs, span(each, "seed") or counted(0, "seed")]
        return ", ".join(fact for fact in facts if fact)

    @property
    def reduced(self) -> list[Remark]:
        """What is reduced, to beware of, or unfinished."""
        return remarks(self.tables.provenance, "reduced", "cautions") + self.unfinished

    @cached_property
    def unfinished(self) -> list[Remark]:
        """What of the pair was asked for and is not there, a sentence each: networks, and networks without a search."""
        asked = self.experiment.get("seeds") or self.seeds
        measured = of_minima(self.tables.sharpness)
        found = []
        for regime in (SMALL, LARGE):
            name = regime.replace("_", " ")
            trained = set(self.pair.loc[self.pair["regime"] == regime, "seed"])
            searched = set(measured.loc[measured["regime"] == regime, "seed"]) & trained
            if trained and len(trained) < len(asked):
                found.append(Remark(f"{name.capitalize()}: {len(trained)} of {counted(len(asked), 'seed')} trained"))
            if trained and len(measured) and len(searched) < len(trained):
                told = f"Sharpness of the {name} in {len(searched)} of {counted(len(trained), 'seed')}"
                found.append(Remark(told, "sharpness"))
        return found

    @property
    def commits(self) -> list[str]:
        """The commits it was made at, with a plus where files had been changed."""
        found = (self.tables.provenance.get("made_with") or {}).get("git") or []
        return [f"{git['commit']}{'+' if git.get('dirty') else ''}" for git in found if git and git.get("commit")]

    @property
    def compares_the_pair(self) -> bool:
        """Whether it was made for Tables 2 to 4.

        It has no further ways of training, and measures nothing on the way, nor something else in place of sharpness.
        """
        sharpness = self.experiment.get("sharpness") or {}
        beside = any(self.experiment.get(measure.name) for measure in by_rule())
        aside = self.experiment.get("variations") or sharpness.get("epochs") or (beside and not sharpness)
        return not aside


def told_apart(studies: Iterable["StudyResults"]) -> dict[str, str]:
    """The labels of studies beside each other by their names; studies of one label have their name behind it."""
    labels = {study.name: study.label for study in studies}
    often = Counter(labels.values())
    return {name: f"{label}, {name}" if often[label] > 1 else label for name, label in labels.items()}


def once(
    function: Callable[Concatenate[StudyResults, Asked], Found],
) -> Callable[Concatenate[StudyResults, Asked], Found]:
    """Have a function of a study keep what it finds there; nobody may change what it returns."""

    @wraps(function)
    def kept(study: StudyResults, /, *asked: Asked.args, **named: Asked.kwargs) -> Found:
        key = function, asked, tuple(sorted(named.items()))
        if key not in study.kept:
            study.kept[key] = function(study, *asked, **named)
        found: Found = study.kept[key]
        return found

    return kept


def main_studies(studies: Iterable[StudyResults]) -> list[StudyResults]:
    """The studies that Tables 2 to 4 show, in the paper's order of networks.

    Those made for another table or figure train the same pair again; they stand in only where a network has no study of
    its own.
    """
    found = list(studies)
    chosen: list[StudyResults] = []
    for network in NETWORKS:
        mine = [study for study in found if study.network == network and len(study.pair)]
        chosen += [study for study in mine if study.compares_the_pair] or mine
    return chosen


def load_studies(folders: Sequence[Path]) -> tuple[list[StudyResults], list[Other]]:
    """Read studies.

    Args:
        folders: Each a study (tables and provenance), a folder of results (with ``tables/``), or a folder of these.

    Returns:
        The studies, networks in the paper's order, then by name; then those of other kinds.

    Raises:
        ResultsError: If a folder is absent, holds no study, or holds a broken one; or if two have the same name.
    """
    places = [place for folder in folders for place in study_folders(folder)]
    studies: dict[str, StudyResults | Other] = {}
    for place in places:
        name = place.parent.name if place.name == "tables" else place.name
        if name in studies:
            raise ResultsError(f"two studies are named {name}, the second is {place}; rename its folder.")
        tables = Tables.read(place)
        studies[name] = Other(name, tables) if is_other(tables) else StudyResults(name, with_remedies_named(tables))
    compared = [study for study in studies.values() if isinstance(study, StudyResults)]
    compared.sort(key=lambda study: (NETWORKS.index(study.network), study.name))
    return compared, [study for study in studies.values() if isinstance(study, Other)]


def study_folders(folder: Path) -> list[Path]:
    """The folders of tables that a folder stands for.

    Raises:
        ResultsError: If there is no such folder, or it holds no study.
    """
    if not folder.is_dir():
        raise ResultsError(f"no results at {folder}; name a study, or a folder of studies such as paper/data.")
    if is_study(folder):
        return [folder]
    if (folder / "tables").is_dir():
        return [folder / "tables"]
    inside = [place / "tables" if (place / "tables").is_dir() else place for place in sorted(folder.iterdir())]
    found = [place for place in inside if is_study(place)]
    if not found:
        raise ResultsError(f"{folder} holds no study: there must be tables with a provenance.json; run an experiment.")
    return found


def is_study(folder: Path) -> bool:
    """Whether there are tables in a folder, complete or not."""
    return any((folder / name).exists() for name in ("provenance.json", "minima.csv"))

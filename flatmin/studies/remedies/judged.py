"""What each way of training does to the gap in test accuracy and to the sharpness, with intervals over the seeds.

A remedy may do one without the other. The gap is that between the small and the large batch of the same seeds; a
share of it is a ratio of means (Fieller's interval), since a single seed's gap can be as small as its noise. Sharpness
is compared with the large batch's by the geometric mean of the ratios, and so is the training loss where training
ended: the derivatives of the cross-entropy fade with it, so that a way can be flatter for no other reason than that it
went on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flatmin.measures import measures
from flatmin.results import Tables
from flatmin.results.intervals import (
    CORRELATION,
    PERCENT,
    POINTS,
    Interval,
    of_difference,
    of_mean,
    of_ratio,
    of_ratio_of_means,
)
from flatmin.results.statistics import NO_MINIMUM, OF_BOTH, PAIR, of_minima, with_minima
from flatmin.results.words import label_of

SMALL, LARGE = "small_batch", "large_batch"
KESKAR, KESKARS = "sharpness", "Keskar's sharpness"
DEPTH = "training loss"
FEWEST = 5
"""Ways of training below which a rank correlation says nothing."""
ACCURACIES = ("test_accuracy", "running_test_accuracy", "train_accuracy")


@dataclass(frozen=True)
class Way:
    """One way of training.

    Attributes:
        name: As in the file.
        batch_size: Examples of a step.
        accuracy: Mean test accuracy, in per cent, with the statistics of the batch.
        running: The same with running averages.
        train: Mean training accuracy, in per cent.
        gain: Test accuracy less the large batch's, in points.
        closed: Share of the gap closed; of the large batch 0 and of the small batch 1.
        depth: Training loss over the large batch's, with the statistics of the batch.
        flatness: Each measure over the large batch's, by what it is called.
        rate: Learning rate trained with.
        at_edge: Whether the learning rate is the smallest or largest one tried.
        updates: Of the weights.
        gradients: Of single examples.
        seconds: Wall time of a training, the median; not-a-number where it went on from a checkpoint.
        lost: How many seeds left no minimum.
    """

    name: str
    batch_size: int
    accuracy: Interval
    running: Interval
    train: Interval
    gain: Interval
    closed: Interval
    depth: Interval
    flatness: dict[str, Interval]
    rate: Interval
    at_edge: bool
    updates: float
    gradients: float
    seconds: float
    lost: int

    @property
    def label(self) -> str:
        """Its name in words."""
        return label_of(self.name)

    @property
    def compared(self) -> dict[str, Interval]:
        """What is over the large batch's: the training loss and each measure."""
        return {DEPTH: self.depth, **self.flatness}

    @property
    def closes(self) -> str:
        """What it does to the gap."""
        return effect(self.gain, 0.0, ("widens the gap", "narrows the gap"))

    @property
    def flattens(self) -> str:
        """What it does to the sharpness."""
        return said_by_all(self.flatness.values())


def effect(interval: Interval, boundary: float, words: tuple[str, str]) -> str:
    """Which side of a boundary an interval lies on, in words; empty where it lies on both or there is none."""
    if not interval.exists or interval.low <= boundary <= interval.high:
        return ""
    return words[0] if interval.high < boundary else words[1]


def said_by_all(ratios: Iterable[Interval]) -> str:
    """What several measures say, over the large batch's: one word, that they do not agree, or nothing."""
    said = {effect(each, 1.0, ("flattens", "sharpens")) for each in ratios} - {""}
    return said.pop() if len(said) == 1 else "flattens by some measures, sharpens by others" if said else ""


def ways(tables: Tables) -> list[Way]:
    """Every way of training that left a minimum, in the order of the file; none without a large batch."""
    minima = tables.minima
    if minima.empty or LARGE not in set(minima["regime"]):
        return []
    trained = minima.merge(tables.frames["ways"], on=["network", "data", "regime", "batch_size", "seed"])
    fit = trained[~trained["status"].isin(NO_MINIMUM)]
    sharp = {name: values for name, values in flatness(tables)}
    by = {name: rows.set_index("seed") for name, rows in fit.groupby("regime", sort=False)}
    if LARGE not in by:
        return []
    large = {column: 100 * by[LARGE][column] for column in ACCURACIES}
    gap = 100 * by[SMALL]["test_accuracy"] - large["test_accuracy"] if SMALL in by else None
    found = []
    for name in trained["regime"].unique():
        if name not in by:
            continue
        rows = by[name]
        accuracy = {column: 100 * rows[column] for column in ACCURACIES}
        gained = accuracy["test_accuracy"] - large["test_accuracy"]
        found.append(
            Way(
                name=str(name),
                batch_size=int(rows["batch_size"].iloc[0]),
                accuracy=of_mean(accuracy["test_accuracy"], bounds=PERCENT),
                running=of_mean(accuracy["running_test_accuracy"], bounds=PERCENT),
                train=of_mean(accuracy["train_accuracy"], bounds=PERCENT),
                gain=of_difference(accuracy["test_accuracy"], large["test_accuracy"], bounds=POINTS),
                closed=of_ratio_of_means(gained, gap) if gap is not None else of_mean(gained * float("nan")),
                depth=of_ratio(rows["train_loss"], by[LARGE]["train_loss"]),
                flatness={
                    what: of_ratio(values[name], values[LARGE]) for what, values in sharp.items() if name in values
                },
                rate=of_mean(rows["learning_rate"]),
                at_edge=bool(rows["at_edge"].any()),
                updates=float(rows["updates"].mean()),
                gradients=float(rows["gradients"].mean()),
                seconds=float(rows["seconds"].median()),
                lost=int((trained["regime"] == name).sum()) - len(rows),
            )
        )
    return found


def pair_of(tables: Tables) -> Tables:
    """The tables with small and large batch alone: all ways are side by side in figures of their own."""
    named = {name: frame for name, frame in tables.frames.items() if "regime" in frame}
    return tables.having(
        **{name: frame[frame["regime"].isin([*PAIR, OF_BOTH])].reset_index(drop=True) for name, frame in named.items()}
    )


def flatness(tables: Tables) -> Iterator[tuple[str, "dict[str, pd.Series[float]]"]]:
    """Each measure that was taken of the large batch's minima: what it is called, and by way its values by seed."""
    for words, rows in readings(tables):
        each = of_minima(rows).groupby(["regime", "seed"])["value"].mean()
        if LARGE in each.index:
            yield words, {str(regime): each.loc[regime] for regime in dict.fromkeys(each.index.get_level_values(0))}


def readings(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each measure that was taken: what it is called, and its `value` by `regime`, `seed` and `epoch`.

    Of Keskar's sharpness the strong search of the whole space, at the largest epsilon; of any other the first setting.
    Of several readings of BatchNorm or numbers of examples the first; none of trainings that left no minimum.
    """
    frames = with_minima(tables).frames
    for name, measure in measures().items():
        if name not in frames or frames[name].empty:
            continue
        rows = frames[name]
        if name == KESKAR:
            rows = rows[(rows["space"] == "full") & (rows["method"] == "strong")]
            rows = rows[rows["epsilon"] == rows["epsilon"].max()]
            words, value = KESKARS, "sharpness"
        elif measure.by_rule and measure.value:
            keys = [*measure.by, "batch_norm"]
            rows = rows[(rows[keys] == rows[keys].iloc[0]).all(axis=1)]
            words, value = measure.words_within, measure.value
        else:
            continue
        if len(rows):
            same = ["batch_norm", "examples"]
            rows = rows[(rows[same] == rows[same].iloc[0]).all(axis="columns")]
            yield words, rows[["regime", "seed", "epoch"]].assign(value=rows[value])


def with_depth(found: Sequence[Way]) -> dict[str, Interval]:
    """For each measure the rank correlation with the training loss over the ways of training but the large batch."""
    others = {way.name: way for way in found if way.name != LARGE}
    return rank_correlations(
        {name: way.depth for name, way in others.items()}, {name: way.flatness for name, way in others.items()}
    )


def rank_correlations(
    values: Mapping[str, Interval], sharp: Mapping[str, Mapping[str, Interval]]
) -> dict[str, Interval]:
    """For each measure its rank correlation with something over the ways of training, a value a seed.

    Args:
        values: That something, by way.
        sharp: The measures, by way; a seed or a measure that fewer than ``FEWEST`` ways have is left out.
    """
    other = pd.DataFrame({name: by_seed(each) for name, each in values.items()})
    correlations = dict[str, Interval]()
    for what in dict.fromkeys(what for each in sharp.values() for what in each):
        measured = pd.DataFrame({name: by_seed(each[what]) for name, each in sharp.items() if what in each})
        known = dict[int, float]()
        for seed in measured.index.intersection(other.index):
            pair = pd.DataFrame({"other": other.loc[seed], "sharp": measured.loc[seed]}).dropna()
            if len(pair) >= FEWEST:
                known[int(seed)] = float(pair.corr(method="spearman").to_numpy()[0, 1])
        if known:
            correlations[what] = of_mean(pd.Series(known, dtype=float), bounds=CORRELATION)
    return correlations


def by_seed(interval: Interval) -> "pd.Series[float]":
    """The values behind an interval."""
    return pd.Series(interval.values, index=list(interval.seeds), dtype=float)


def rows(found: Sequence[Way]) -> pd.DataFrame:
    """A row for each way: every number with the ends of its interval."""
    table = []
    for way in found:
        row: dict[str, Any] = {"regime": way.name, "batch_size": way.batch_size, "seeds": len(way.accuracy.values)}
        known = {name: getattr(way, name) for name in ("accuracy", "running", "train", "gain", "closed")}
        for name, each in (known | way.compared).items():
            row |= {name: each.center, f"{name} low": each.low, f"{name} high": each.high}
        row |= {"learning_rate": way.rate.center, "at_edge": way.at_edge, "updates": way.updates}
        table.append(row | {"gradients": way.gradients, "seconds": way.seconds, "lost": way.lost})
    return pd.DataFrame(table)


def share(value: float) -> str:
    """A share of the gap in per cent."""
    return "–" if pd.isna(value) else f"{100 * value:.0f} %"


def between(interval: Interval, form: Callable[[float], str]) -> str:
    """A number with its interval."""
    said = form(interval.center)
    return f"{said} [{form(interval.low)}, {form(interval.high)}]" if interval.exists else said

"""What the grid and the schedules show, judged by their tables.

R6: equal lr/B gives similar sharpness and accuracy, and the best batch size is in proportion to the learning rate.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatmin.results import Tables
from flatmin.results.intervals import Interval, of_difference
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.noise_scale import cost
from flatmin.studies.noise_scale.grid import LOST, NETWORKS, REACHED, READINGS, SCHEDULES, SHORT
from flatmin.studies.noise_scale.judged import (
    LOGARITHMIC,
    QUANTITIES,
    READING_NAMES,
    best_sizes,
    breaking,
    departures,
    explained,
    networks,
    slope_of_best,
)

DEPARTED = math.log(1.1)
"""A ratio of 1.1 to what smaller learning rates of the same lr/B give counts as departed."""
MUCH = 0.5
"""Share of the variance from which lr/B is said to count; share of a schedule's effect below which two are the same."""
COMPARED = {"train_loss": "training loss", "test_loss": "test loss", "test_accuracy": "test accuracy"} | {
    "top_eigenvalue": "largest eigenvalue",
    "adaptive": "adaptive sharpness",
}


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    if not tables.frames[NETWORKS].empty:
        yield from trainings(tables)
        table = explained(tables)
        for row in table.to_dict("records"):
            yield ratio(row)
        yield from breaks(tables)
        for reading in ("equal_epochs", "equal_loss"):
            yield best(tables, reading)
        yield from costs(tables)
    if not tables.frames[SCHEDULES].empty:
        yield from swapped(tables)
    yield f"All this is said of {scope(tables)}, and of nothing else; intervals are of 95 %, Student's t over seeds."


def scope(tables: Tables) -> str:
    """What was trained on what."""
    asked = tables.experiment
    data = asked["data"]
    some = f"{data['examples']:,} images of" if data.get("examples") else "all of"
    momentum = f"momentum {asked['momentum']:g}" if asked["momentum"] else "no momentum"
    name = DATA_NAMES.get(data["name"], data["name"])
    return f"ReLU networks of two hidden layers of {asked['width']} on {some} {name}, SGD with {momentum}"


def trainings(tables: Tables) -> Iterator[str]:
    """How many came to each reading, and which of the two is judged by."""
    rows, asked = tables.frames[NETWORKS], tables.experiment
    count = {
        reading: rows.loc[rows["reading"] == reading, "status"].value_counts().reindex([REACHED, SHORT, LOST]).fillna(0)
        for reading in READINGS
    }
    same, equal = count["equal_loss"], count["equal_epochs"]
    axes = {"learning rate": "learning_rate", "batch size": "batch_size", "seed": "seed"}
    grid = " by ".join(counted(rows[column].nunique(), noun) for noun, column in axes.items())
    yield (
        f"{counted(int(same.sum()), 'network')}, {grid}: {same[REACHED]:.0f} came to a training loss of "
        f"{asked['target']:g} within {asked['epochs']:,} epochs, {same[SHORT]:.0f} had not by then, "
        f"{same[LOST]:.0f} were no better than a guess after {asked['equal_epochs']:,} or ever after; at equal epochs "
        f"{equal[REACHED]:.0f} are compared."
    )
    yield (
        "Judged is the comparison at the same loss. Equal epochs are no test of the noise: along equal lr/B they are "
        "also equal amounts of descent, updates times learning rate, so that slow and fast trainings are told apart by "
        "lr/B whatever the noise does."
    )


def of_row(row: Mapping[Any, Any], name: str) -> str:
    """One number of `explained` with its interval."""
    return f"{Interval(row[name], row[f'{name}_low'], row[f'{name}_high'], ()):.2f}"


def ratio(row: Mapping[Any, Any]) -> str:
    """Judge R6 for one quantity: lr/B explains it, better than lr or B alone."""
    ahead = [row["ahead_of_rate_low"], row["ahead_of_size_low"]]
    behind = [row["ahead_of_rate_high"], row["ahead_of_size_high"]]
    verdict = "undecided"
    if all(low > 0 for low in ahead) and row["ratio_low"] > 0:
        verdict = "holds" if row["ratio"] >= MUCH else f"holds weakly, lr/B explains less than {MUCH:.0%}"
    elif any(high < 0 for high in behind) or row["ratio_high"] < MUCH / 5:
        verdict = "does not hold"
    name = QUANTITIES[str(row["quantity"])]
    log = "log " if row["quantity"] in LOGARITHMIC else ""
    return (
        f"R6 ({READING_NAMES[str(row['reading'])]}, {name}), lr/B counts and not lr or B: {verdict}; of the variance "
        f"of {log}{name} lr/B explains {of_row(row, 'ratio')}, lr {of_row(row, 'rate')}, B {of_row(row, 'size')}."
    )


def follows(row: Mapping[Any, Any]) -> str:
    """The power of the batch size beside the learning rate, where there is one."""
    if math.isnan(row["power"]):
        return "no power of B is told"
    return f"as lr/B^p with p = {of_row(row, 'power')}"


def breaks(tables: Tables) -> Iterator[str]:
    """Where the ratio ceases to tell: from which learning rate on, what that leaves, and where training fails."""
    rows = networks(tables, "equal_loss")
    edges = list[float]()
    for name in ("epochs", "top_eigenvalue"):
        found = departures(rows, f"y_{name}")
        edges.append(breaking(found, DEPARTED))
        if not found:
            yield f"Along equal lr/B nothing is told of the {QUANTITIES[name]}: no ratio has two rates at one loss."
            continue
        each = ", ".join(f"{math.exp(one.center):.2f} at {rate:g}" for rate, one in found.items())
        where = (
            f"a departure of more than 10 % begins at lr = {edges[-1]:g}"
            if math.isfinite(edges[-1])
            else "no departure is seen"
        )
        yield (
            f"Along equal lr/B, of the {QUANTITIES[name]}: {where}; as a multiple of that at smaller rates of the same "
            f"ratio: {each}."
        )
    edge = min(edges)
    smaller = rows.loc[rows["learning_rate"] < edge, "learning_rate"]
    if math.isfinite(edge) and smaller.nunique() > 2:
        below = explained(tables, most=smaller.max())
        part = [row for row in below.to_dict("records") if row["reading"] == "equal_loss"]
        each = "; ".join(f"{QUANTITIES[row['quantity']]} {of_row(row, 'ratio')} ({follows(row)})" for row in part)
        yield f"Of the learning rates below {edge:g} alone, at the same loss, lr/B explains: {each}."
    lost = tables.frames[NETWORKS]
    lost = lost[lost["reading"] == "equal_loss"]
    lost = lost.assign(ratio=lost["learning_rate"] / lost["batch_size"])
    good = lost[lost["status"] == REACHED]
    bad = lost[(lost["status"] != REACHED) & (lost["ratio"] > good["ratio"].max())]
    if len(lost) and good.empty:
        yield f"No network came to the target ({counted(len(lost), 'training')}): nothing is compared at the same loss."
    if len(bad):
        yield (
            f"No network came to the target with lr/B above {good['ratio'].max():.3g}, whatever its learning rate "
            f"({counted(len(bad), 'training')}): there the noise itself ends training."
        )


def best(tables: Tables, reading: str) -> str:
    """Judge R6's second part: B_opt in proportion to lr."""
    sizes = best_sizes(tables, reading)
    slope, censored = slope_of_best(sizes), int(sizes["censored"].sum())
    verdict = "undecided"
    if slope.exists:
        inside = slope.low <= 1 <= slope.high
        verdict = "undecided" if slope.low <= 0 <= slope.high else "holds" if inside else "does not hold"
    seen = sizes[~sizes["censored"].astype(bool)]
    middles = seen.groupby("learning_rate")["batch_size"].median()
    each = ", ".join(f"{size:g} at {rate:g}" for rate, size in middles.items())
    spread = f"{100 * np.ptp(heights(tables, reading)):.1f} points" if len(sizes) else "no known amount"
    return (
        f"R6 ({READING_NAMES[reading]}), the best batch size is in proportion to the learning rate: {verdict}; slope "
        f"of log B_opt against log lr {slope:.2f} over {counted(len(slope.values), 'seed')}; median B_opt "
        f"{each or 'nowhere within the grid'}; {censored} of {len(sizes)} are left out: a better one may lie beyond "
        f"the grid, or had no time. The best accuracies themselves differ by {spread} between "
        f"learning rates."
    )


def heights(tables: Tables, reading: str) -> NDArray[np.float64]:
    """The best mean test accuracy of each learning rate."""
    means = networks(tables, reading).groupby(["learning_rate", "batch_size"])["test_accuracy"].mean()
    return means.groupby("learning_rate").max().to_numpy(dtype=np.float64)


def costs(tables: Tables) -> Iterator[str]:
    """Where large batches cost, and what the noise scale of the gradient says of it."""
    fastest, noise = cost.fastest(tables), cost.noise_by_loss(tables)
    found = cost.critical_size(fastest)
    if found.seeds:
        edge = f"; {int(fastest['edge'].sum())} of {len(fastest)} best rates are the largest tried" * bool(
            fastest["edge"].any()
        )
        yield (
            f"With the best learning rate for each batch size, the updates to the target follow S_min + E_min / B: a "
            f"batch costs twice the fewest examples at B_crit = {found:.0f} "
            f"({counted(len(found.seeds), 'seed')}{edge})."
        )
    known = noise[noise["told"]]
    if len(known):
        each = ", ".join(
            f"{row['noise_scale']:.0f} at a loss of {row['train_loss']:.2g}" for row in known.to_dict("records")
        )
        rest = len(noise) - len(known)
        unseen = f"; {counted(rest, 'level')} of the loss where the gradient is not told from 0" if rest else ""
        yield f"McCandlish's noise scale tr(Sigma) / |G|^2 along training: {each}{unseen}."


def swapped(tables: Tables) -> Iterator[str]:
    """Judge the swap of schedules: growth ends where decay does, by less than half of what decay does at all."""
    rows = tables.frames[SCHEDULES]
    ended = rows[rows["epoch"] == rows["epoch"].max()].set_index("seed")
    way = {str(name): part for name, part in ended.groupby("schedule")}
    if not {"constant", "decay", "growth"} <= set(way):
        return
    updates = {name: part["updates"].iloc[0] for name, part in way.items()}
    yield (
        f"Decay of the rate took {updates['decay']:,.0f} updates, growth of the batch {updates['growth']:,.0f}, in "
        f"the same {rows['epoch'].max():.0f} epochs."
    )
    for name, words in COMPARED.items():
        scaled = {key: _scaled(part[name], name) for key, part in way.items()}
        effect = of_difference(scaled["decay"], scaled["constant"])
        apart = of_difference(scaled["growth"], scaled["decay"])
        yield (
            f"Growth for decay ({words}), the same end: {verdict(effect, apart)}; growth less decay "
            f"{apart:.3g}, where decay less constant is {effect:.3g}"
            f"{' (natural logarithms)' if name not in ('test_accuracy', 'test_loss') else ''} "
            f"({counted(len(apart.values), 'seed')})."
        )


def _scaled(values: "pd.Series[float]", name: str) -> "pd.Series[float]":
    if name == "test_accuracy":
        return 100 * values
    return values if name == "test_loss" else pd.Series(np.log(values.where(values > 0)), index=values.index)


def verdict(effect: Interval, apart: Interval) -> str:
    """Whether two schedules end at the same place, by the effect of either.

    Example:
        >>> from flatmin.results.intervals import of_mean
        >>> effect, apart = (of_mean(pd.Series(values)) for values in ([1.0, 1.1, 0.9], [0.01, -0.02, 0.01]))
        >>> verdict(effect, apart), verdict(apart, effect), verdict(effect, effect)
        ('holds', 'undecided, decay itself does nothing to it that is seen', 'does not hold')
    """
    if not (effect.exists and apart.exists):
        return "undecided"
    if effect.low <= 0 <= effect.high:
        return "undecided, decay itself does nothing to it that is seen"
    band = MUCH * abs(effect.center)
    if -band < apart.low and apart.high < band:
        return "holds"
    return "undecided" if apart.low <= 0 <= apart.high else "does not hold"

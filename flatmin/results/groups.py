"""Which regimes of a study belong together: sweeps over batch sizes, warm starts, and remedies.

A sweep is three or more regimes of one numbered series with batches of different sizes; a warm start is a series that
goes out from the iterates of another training; remedies are all the rest beside the small and the large batch. The
pair joins a sweep or a warm start that differs from it in nothing else, as the provenance tells.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from flatmin.results import Tables, of_minima
from flatmin.results.searches import with_standard_a
from flatmin.results.statistics import PAIR
from flatmin.results.words import series_of

TRAINING = ["network", "data", "regime", "seed"]
SEARCH = ["method", "space", "epsilon", "batch_norm"]
LEAST_SIZES = 3
AUGMENTED = {"small_batch": "small_batch_augmented", "large_batch": "large_batch_augmented"}
CONSERVATIVE = "conservative"
ROBUST = ("robust", "adversarial", "stability")
REMEDIES = (*AUGMENTED.values(), CONSERVATIVE, *ROBUST)
"""What the paper tries to mend large-batch training with (Tables 6 and 7, appendix E.3), by the names it has here."""


def sweep_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches at the minima of every sweep, with `series`, `batch_size` and `test_accuracy`."""
    return searches_at(tables, sweep_minima(tables), ["series", "batch_size", "test_accuracy"])


def sweep_minima(tables: Tables) -> pd.DataFrame:
    """Return the minima of every sweep with their `series`, measured or not."""
    minima = grouped(tables)
    members = minima[minima["group"] == "sweep"]
    pair = minima[minima["group"] == "pair"]
    joined = [pair.assign(series=name) for name in members["series"].unique() if is_plain(tables, name)]
    return pd.concat([*joined, members])


def warm_start_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches at the minima of every warm start, with `series`, `start_epoch` and `test_accuracy`.

    The large batch from the start of its seed has epoch 0.
    """
    minima = grouped(tables)
    members = minima[minima["group"] == "warm_start"]
    cold = minima[minima["regime"] == "large_batch"].assign(start_epoch=0.0)
    joined = []
    for name, rows in members.groupby("series"):
        if is_plain(tables, str(name)) and 0 not in set(rows["start_epoch"]):
            joined.append(cold[cold["batch_size"].isin(rows["batch_size"])].assign(series=name))
    return searches_at(tables, pd.concat([*joined, members]), ["series", "start_epoch", "test_accuracy"])


def remedy_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches at the minima of the pair and of the remedies, with `test_accuracy`.

    Only networks and data with at least one remedy have rows.
    """
    minima = grouped(tables)
    remedies = minima[minima["group"] == "remedy"]
    studies = remedies[["network", "data"]].drop_duplicates()
    members = minima[minima["group"].isin(["pair", "remedy"])].merge(studies, on=["network", "data"])
    return searches_at(tables, members, ["test_accuracy"])


def on_the_way_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches at networks on their way and at the minima they end in, with their `train_loss`.

    Epochs and training losses are those of the table `curves`; a minimum has the last one. Where a loss was not
    recorded it is that on the examples searched on.
    """
    rows = with_standard_a(tables.sharpness)
    on_the_way = rows[rows["epoch"].notna()]
    ends = of_minima(rows).drop(columns="epoch").merge(tables.minima[[*TRAINING, "epochs"]], on=TRAINING)
    ends = ends.rename(columns={"epochs": "epoch"}).merge(on_the_way[TRAINING].drop_duplicates(), on=TRAINING)
    curves = tables.curves[tables.curves["split"] == "train"].rename(columns={"loss": "train_loss"})
    found = pd.concat([on_the_way, ends]).drop_duplicates(
        [*TRAINING, *SEARCH, "epoch", "subspace_dim", "draw", "examples"]
    )
    found = found.merge(curves[[*TRAINING, "epoch", "train_loss"]], on=[*TRAINING, "epoch"]).reset_index(drop=True)
    return found.assign(train_loss=found["train_loss"].fillna(found["base_loss"]))


def per_network(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return one row per network and search, the mean over the draws of a random subspace, with further columns."""
    keys = [*TRAINING, *SEARCH, *columns]
    return rows.groupby(keys, sort=False, dropna=False)["sharpness"].mean().reset_index()


def grouped(tables: Tables) -> pd.DataFrame:
    """Return the minima with `series`, and with their `group`: pair, sweep, warm_start or remedy."""
    minima = recorded(tables.minima, "test_accuracy")
    minima = minima.assign(series=[series_of(regime) for regime in minima["regime"]], group="remedy")
    warm = minima["start_epoch"].notna()
    sizes = minima.groupby(["network", "data", "series"])["batch_size"].transform("nunique")
    minima.loc[(minima["series"] != "") & (sizes >= LEAST_SIZES), "group"] = "sweep"
    minima.loc[warm, "group"] = "warm_start"
    minima.loc[minima["regime"].isin(PAIR), "group"] = "pair"
    return minima


def recorded(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return rows with running averages where a number was not recorded with batch statistics."""
    return rows.assign(**{column: rows[column].fillna(rows[f"running_{column}"])})


def averages_note(*tables: Tables) -> str:
    """Return that `recorded` had to take running averages for some networks; empty where it had not."""
    lacking = any(frames.minima["test_accuracy"].isna().any() for frames in tables)
    return "Accuracy with running averages where it was not recorded with batch statistics" if lacking else ""


def variations_of(tables: Tables) -> dict[str, Mapping[str, Any]]:
    """Return the settings of every variation in the provenance, by name."""
    found: Mapping[str, Any] = tables.experiment.get("variations") or {}
    return {name: settings for name, settings in found.items() if settings is not None}


def variation_of(tables: Tables, series: str) -> dict[str, Any] | None:
    """Return the settings of the variation that a series comes from; ``None`` where the provenance has none."""
    variations = variations_of(tables)
    name = variation_named(series, variations)
    return dict(variations[name]) if name else None


def variation_named(series: str, variations: Collection[str]) -> str:
    """Return the name of the variation that a network comes from; empty where it comes from none.

    A list of batch sizes and one of epochs to start from each put a number behind it.

    Example:
        >>> [variation_named(name, ("warm", "warm_5")) for name in ("warm_5", "warm_20", "warm_100_20", "large_batch")]
        ['warm_5', 'warm', 'warm', '']
    """
    while series and series not in variations:
        series = series_of(series)
    return series


def with_remedies_named(tables: Tables) -> Tables:
    """Return the tables with every remedy under the name of what it is, whatever the experiment calls it.

    A remedy is a variation that augments, or has a method, and is otherwise like one of the pair: `conservative`,
    `robust`, `adversarial` and `stability` are large batches, `large_batch_augmented` and `small_batch_augmented`
    say which. Of several of one kind the one with its name, else the first, has it; a variation that bears the name
    of another kind loses it.
    """
    variations = variations_of(tables)
    natures = {name: remedy_of(tables, name, variation) for name, variation in variations.items()}
    called = {nature: name for name, nature in reversed(natures.items()) if nature}
    called |= {nature: nature for nature in called if natures.get(nature) == nature}
    renamed = {name: f"{name}_variation" for name in natures if name in REMEDIES}
    renamed |= {name: nature for nature, name in called.items()}
    if all(name == nature for name, nature in renamed.items()):
        return tables
    frames = {
        name: frame.assign(regime=[renamed.get(regime, regime) for regime in frame["regime"]])
        for name, frame in tables.frames.items()
        if "regime" in frame
    }
    return tables.having(**frames)


def remedy_of(tables: Tables, name: str, variation: Mapping[str, Any]) -> str:
    """Return which remedy a variation is, by its method, augmentation and batch; empty where it is none."""
    sizes = tables.minima.groupby("regime")["batch_size"].agg(set)
    beside = [regime for regime in PAIR if name in sizes and sizes[name] == sizes.get(regime)]
    method, augmented = (variation.get("method") or {}).get("name", ""), bool(variation.get("augmentation"))
    if variation.get("start") or not beside or bool(method) == augmented:
        return ""
    found = AUGMENTED[beside[0]] if augmented else str(method) if beside[0] == "large_batch" else ""
    return found if found in REMEDIES else ""


def is_plain(tables: Tables, series: str) -> bool:
    """Return whether a series differs from the pair in its batch size and start alone."""
    variation = variation_of(tables, series)
    return variation is not None and not any(variation.get(key) for key in ("augmentation", "method"))


def origin_of(tables: Tables, series: str) -> str:
    """Return the regime whose iterates a warm start goes out from."""
    variation = variation_of(tables, series) or {}
    return str((variation.get("start") or {}).get("regime", "small_batch"))


def searches_at(tables: Tables, minima: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the searches at the given minima, with columns of theirs."""
    return with_standard_a(of_minima(tables.sharpness)).merge(minima[[*TRAINING, *columns]], on=TRAINING)

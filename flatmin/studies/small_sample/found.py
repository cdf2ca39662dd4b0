"""What the batches of a small sample show, judged by the tables."""

from collections.abc import Iterator

import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import PERCENT, of_mean, of_ratio
from flatmin.results.words import counted

EXACT = 1e-12
"""A loss no further above the least one is that, but for rounding."""


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    if len(loaders := tables.frames["small_sample_loaders"]):
        yield updates_per_epoch(loaders)
    rows = tables.frames["small_sample"]
    if rows["batch_size"].nunique() > 1:
        yield from zigzag(rows, tables.experiment["epochs"])
        yield from compared(rows, tables.experiment["epochs"])


def updates_per_epoch(rows: pd.DataFrame) -> str:
    """Judge L4: an epoch has as many updates as examples over the batch size, rounded up."""
    alone = (
        (rows["batch_size"] > 1)
        & (rows["examples"] > rows["batch_size"])
        & (rows["examples"] % rows["batch_size"] == 1)
    )
    same = (rows["walked"] == rows["ceiling"]) & (rows["loader"] == rows["walked"])
    proper = rows[~alone]
    verdict = "was not asked" if proper.empty else "holds" if same[~alone].all() else "does not hold"
    each = ", ".join(f"{row.walked:,} for {row.examples:,} by {row.batch_size:,}" for row in proper.itertuples())
    text = f"L4 {verdict}: updates of an epoch are ceil(N / B), walked through: {each}."
    if alone.any():
        others = ", ".join(
            f"{row.walked:,} for {row.examples:,} by {row.batch_size:,}, not {row.ceiling:,}"
            for row in rows[alone].itertuples()
        )
        text += f" Where one example would be left it joins the batch before, as BatchNorm needs two: {others}."
    return text


def after_epochs(rows: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """The last update of that epoch of each way."""
    return rows[rows["epoch"] == epochs].groupby(["batch_size", "seed"], as_index=False).last()


def after_updates(rows: pd.DataFrame, updates: int) -> pd.DataFrame:
    """That update of each way."""
    return rows[rows["update"] == updates]


def ends(rows: pd.DataFrame, epochs: int) -> dict[str, pd.DataFrame]:
    """Where the ways are compared: at equal epochs, at the updates that the largest batch makes in them, and at all."""
    large = after_epochs(rows[rows["batch_size"] == rows["batch_size"].max()], epochs)
    few = int(large["update"].iloc[0])
    most = int(rows["update"].max())
    return {
        f"after {counted(epochs, 'epoch')} of each": after_epochs(rows, epochs),
        f"after {counted(few, 'update')} of each": after_updates(rows, few),
        f"after {counted(most, 'update')} of each": after_updates(rows, most),
    }


def by_size(rows: pd.DataFrame, values: "pd.Series[float]") -> "tuple[pd.Series[float], pd.Series[float]]":
    """The values of the smallest and of the largest batches, by seed."""
    small, large = rows["batch_size"] == rows["batch_size"].min(), rows["batch_size"] == rows["batch_size"].max()
    return tuple(values[side].set_axis(rows.loc[side, "seed"]) for side in (small, large))


def zigzag(rows: pd.DataFrame, epochs: int) -> Iterator[str]:
    """Judge Fig. 3.8: the way of small batches is a zigzag, that of the full batch is smooth."""
    size = int(rows["batch_size"].min()), int(rows["batch_size"].max())
    for where, part in list(ends(rows, epochs).items())[:2]:
        small, large = by_size(part, part["length"] / part["displacement"])
        ratio = of_ratio(small, large)
        yield (
            f"Fig. 3.8 {ratio.judged_above(1)} {where}: the way with batches of {size[0]} is {of_mean(small)} times as "
            f"long as the line from its start to its end, that with {size[1]} {of_mean(large)} times; ratio {ratio} "
            f"(means of {counted(len(small), 'seed')}, 95 % t intervals)."
        )
    moved = rows.assign(rises=rows.groupby(["batch_size", "seed"])["loss"].diff() > 0)
    moved = moved[(moved["epoch"] <= epochs) & (moved["update"] > 0)]
    rises = moved.groupby(["batch_size", "seed"])["rises"].mean().reset_index()
    small, large = by_size(rises, rises["rises"])
    yield (
        f"In {counted(epochs, 'epoch')} the loss over all examples rises in "
        f"{of_mean(100 * small, bounds=PERCENT)} % of the updates with batches of {size[0]} and in "
        f"{of_mean(100 * large, bounds=PERCENT)} % of those with {size[1]}."
    )


def compared(rows: pd.DataFrame, epochs: int) -> Iterator[str]:
    """Say which batch is lower, by what is left above the least loss."""
    size = int(rows["batch_size"].min()), int(rows["batch_size"].max())
    for where, part in ends(rows, epochs).items():
        small, large = by_size(part, part["excess"])
        ratio = of_ratio(small.clip(EXACT), large.clip(EXACT))
        words = {"holds": f"higher with {size[0]}", "does not hold": f"lower with {size[0]}"}
        yield (
            f"Loss above the least one {where}, median: {small.median():.3g} with batches of {size[0]}, "
            f"{large.median():.3g} with {size[1]}; ratio {ratio}, {words.get(ratio.judged_above(1), 'undecided')} "
            f"(geometric mean of {counted(len(ratio.values), 'seed')}, what is below {EXACT:g} counts as {EXACT:g})."
        )

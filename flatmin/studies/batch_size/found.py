"""What batch sizes do to accuracy, judged.

L6: at equal epochs all examples in one batch end with less accuracy than batches of 100, on training and test examples
alike. The book compares at equal epochs alone, where large batches have fewer updates.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import PERCENT, POINTS, of_difference, of_mean
from flatmin.results.words import DATA_NAMES, counted, significant
from flatmin.studies.batch_size.steps import EQUAL, TABLE

USUAL = 100
SPLITS = {"train": "training", "test": "test"}


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    rows = tables.frames[TABLE]
    if rows.empty:
        return
    for equal in EQUAL:
        yield whole_against_usual(rows, equal)
    for data, part in rows.groupby("data", sort=False):
        for equal in EQUAL:
            yield best(part[part["equal"] == equal], DATA_NAMES[str(data)], equal)
        yield bought(part, DATA_NAMES[str(data)])
        yield from guesses(part[part["equal"] == "epochs"], DATA_NAMES[str(data)], tables.experiment["learning_rate"])
    yield (
        "The time is that of training alone, measured in it, and depends on the machine and on what else it does; at "
        "equal epochs and updates the numbers follow from the seed. One learning rate serves all batch sizes."
    )


def scores(rows: pd.DataFrame, size: float, split: str) -> "pd.Series[Any]":
    """The accuracy in per cent of the trainings with a batch size, by seed."""
    chosen = rows[rows["batch_size"] == size]
    return 100 * chosen.set_index("seed")[f"{split}_accuracy"]


def whole_against_usual(rows: pd.DataFrame, equal: str) -> str:
    """Judge L6, or what is left of it when something else than epochs is equal."""
    said, signs = [], []
    for data, part in rows[rows["equal"] == equal].groupby("data", sort=False):
        largest = part["batch_size"].max()
        if largest <= USUAL or USUAL not in set(part["batch_size"]):
            return f"L6 at equal {equal} undecided: {DATA_NAMES[str(data)]} has no batches of {USUAL} and more."
        for split, words in SPLITS.items():
            found = of_difference(scores(part, largest, split), scores(part, USUAL, split), bounds=POINTS)
            signs.append(-1 if found.high < 0 else 1 if found.low > 0 else 0)
            said.append(f"{DATA_NAMES[str(data)]} {words} {found:+.1f}")
    verdict = "holds" if set(signs) == {-1} else "does not hold" if 1 in signs else "undecided"
    name = "L6" if equal == "epochs" else f"L6 at equal {equal} instead"
    return (
        f"{name} {verdict}: all examples in one batch against batches of {USUAL}, accuracy at equal {equal}, in points:"
        f" {'; '.join(said)} (95 % t interval over {counted(rows['seed'].nunique(), 'seed')}, paired)."
    )


def best(rows: pd.DataFrame, data: str, equal: str) -> str:
    """Name the batch size with the highest mean test accuracy, and those that cannot be told from it."""
    means: Any = rows.groupby("batch_size")["test_accuracy"].mean()
    top = float(means.idxmax())
    mean = of_mean(scores(rows, top, "test"), bounds=PERCENT)
    level = [
        f"{size:,.0f}"
        for size in means.index
        if size != top
        and not of_difference(scores(rows, size, "test"), scores(rows, top, "test"), bounds=POINTS).high < 0
    ]
    others = f"not told from it: B = {', '.join(level)}" if level else "all others lie below"
    return f"{data}, equal {equal}: the best test accuracy, {mean:.1f} %, is that of B = {top:,.0f}; {others}."


def guesses(rows: pd.DataFrame, data: str, rate: float) -> Iterator[str]:
    """Name the sizes that learn nothing, if there are any."""
    shares = rows.groupby("batch_size")["at_chance"].mean()
    if lost := [f"B = {size:,.0f}" for size, share in shares.items() if share > 0.5]:
        yield (
            f"{data}: after the epochs most trainings with {', '.join(lost)} name classes no better than a guess; the "
            f"learning rate of {rate:g} or the number of updates does not suit them, and their accuracy says no more."
        )


def bought(rows: pd.DataFrame, data: str) -> str:
    """Say what the same time buys with each size."""
    timed: Any = rows[rows["equal"] == "seconds"].groupby("batch_size")[["updates", "epochs", "seconds"]].median()
    each = ", ".join(
        f"B = {size:,.0f}: {row['updates']:,.0f} updates, {significant(row['epochs'])} epochs"
        for size, row in timed.iterrows()
    )
    return f"{data}: {significant(timed['seconds'].min())} s of training buy {each} (medians over seeds)."

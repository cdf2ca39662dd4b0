"""What the times show, judged.

L4: an epoch has as many updates as batches. L5: an epoch with B = 1 takes over five times that with B = 1,000, and an
update takes no less with more examples.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flatmin.results import Tables
from flatmin.results.words import counted, significant
from flatmin.studies.speed import book
from flatmin.studies.speed.steps import TIMES, WORK, updates_of
from flatmin.studies.speed.summary import LIMITS, Rows, per_size, ratio, reached, visits

SMALL, LARGE = 1, 1000
FASTER = 5
BUSY = 0.25
"""Share of the processors that other work may take before the times are doubted."""
SAME = 1.25
"""Up to this factor two updates take nearly the same time."""


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    if tables.frames[TIMES].empty:
        return
    rows = per_size(tables)
    yield measured(tables, rows)
    yield counts(tables)
    yield epochs(tables, rows)
    yield growing(tables, rows)
    yield same(tables, rows)
    yield doubled(rows)
    yield from limits(rows)
    if rows["whole"].notna().any():
        yield whole(rows)


def where(tables: Tables) -> str:
    """The device, and its threads where they count."""
    first: Rows = tables.frames[WORK].iloc[0]
    threads = f", {counted(int(first['threads']), 'thread')}" if str(first["device"]) == "cpu" else ""
    return f"{first['device']}{threads}"


def measured(tables: Tables, rows: Rows) -> str:
    """What the times are."""
    return " ".join(
        filter(
            None,
            (
                f"Times on {where(tables)}: medians of {rows['repeats'].min():g} visits to each batch size in random "
                "order, after one that does not count; they are those of one machine at one time, and another run has "
                "others.",
                disturbed(rows),
            ),
        )
    )


def disturbed(rows: Rows) -> str:
    """Whether other work was going on; empty if not."""
    load, processors = (float(rows[name].iloc[0]) for name in ("load", "processors"))
    if not load > BUSY * processors:
        return ""
    return (
        f"The machine was busy with other work, {load:.1f} processes on {processors:g} processors before it began, so "
        "all times may be too long."
    )


def counts(tables: Tables) -> str:
    """Judge L4."""
    work: Rows = tables.frames[WORK].sort_values("batch_size")
    right = [updates_of(int(row.examples), int(row.batch_size)) == row.updates for row in work.itertuples()]
    told = ", ".join(f"{row.updates:,.0f} with B = {row.batch_size:,.0f}" for row in work.itertuples())
    verdict = "holds" if all(right) else "does not hold"
    return f"L4 {verdict}: an epoch of {work['examples'].iloc[0]:,.0f} examples has {told} updates."


def both(tables: Tables, rows: Rows, plus: bool) -> tuple[float, float, float] | None:
    """The ratio of the updates of the two sizes that the book compares, large over small, if both were timed."""
    if not {SMALL, LARGE} <= set(rows.index):
        return None
    above, below = (float(rows.loc[size, "input"]) * plus for size in (LARGE, SMALL))
    return ratio(visits(tables, LARGE), visits(tables, SMALL), (above, below))


def epochs(tables: Tables, rows: Rows) -> str:
    """Judge the first half of L5."""
    found = both(tables, rows, plus=True)
    if found is None:
        return f"L5 undecided: B = {SMALL} and B = {LARGE:,} were not both timed."
    updates = float(rows.loc[SMALL, "updates"] / rows.loc[LARGE, "updates"])
    center, low, high = updates / found[0], updates / found[2], updates / found[1]
    verdict = "holds" if low > FASTER else "does not hold" if high < FASTER else "undecided"
    return (
        f"L5 {verdict}: an epoch takes {seconds(rows.loc[SMALL, 'epoch'])} with B = {SMALL} and "
        f"{seconds(rows.loc[LARGE, 'epoch'])} with B = {LARGE:,}, {significant(center)} times less "
        f"({interval(low, high)}; more than {FASTER} is claimed). In the book it is "
        f"{book.EPOCH[SMALL] / book.EPOCH[LARGE]:.0f} times, from {book.EPOCH[SMALL]:g} s."
    )


def growing(tables: Tables, rows: Rows) -> str:
    """Judge the second half of L5: no step from a size to the next is a fall beyond its interval."""
    falls, unsure = [], 0
    for one, other in pairwise(rows.index):
        center, low, high = ratio(visits(tables, other), visits(tables, one))
        unsure += low < 1 <= high
        if high < 1:
            falls.append(
                f"from B = {one:,} to {other:,} by {100 * (1 - center):.0f} % ({interval(low, high)} times as long)"
            )
    if falls:
        return f"L5 for the time of an update does not hold: it falls {', '.join(falls)}."
    open_ones = f"; {unsure} of {len(rows) - 1} steps cannot be told from none" if unsure else ""
    return f"L5 for the time of an update holds: it falls from no batch size to the next{open_ones}."


def same(tables: Tables, rows: Rows) -> str:
    """Judge what the book says of updates up to 1,000 examples: nearly the same time."""
    found = both(tables, rows, plus=False)
    drawn = book.UPDATE[LARGE] / book.UPDATE[SMALL]
    if found is None:
        return f"Whether updates up to {LARGE:,} examples take the same time was not asked."
    center, low, high = found
    verdict = "does" if high < SAME else "does not" if low > SAME else "may or may not"
    return (
        f"An update of {LARGE:,} {verdict} take nearly the time of one: {significant(center)} times as long "
        f"({interval(low, high)}; up to {SAME:g} is called the same). The book says the same and draws {drawn:.0f}."
    )


def doubled(rows: Rows) -> str:
    """Where updates begin to cost, and where more examples bring no more of them a second."""
    twice, smallest = reached(rows, 2.0), int(rows["batch_size"].iloc[0])
    first = f"An update takes twice that of B = {smallest} "
    begin = first + (f"from about B = {significant(twice, 2)} on" if np.isfinite(twice) else "with no size")
    best = rows["throughput"].max()
    enough = int(rows.index[rows["throughput"] >= 0.9 * best][0])
    return (
        f"{begin}. Most examples a second: {significant(best)}, with B = {int(rows['throughput'].idxmax()):,}; 90 % of "
        f"that from B = {enough:,} on, and {significant(rows['throughput'].iloc[0])} with B = {smallest}."
    )


def limits(rows: Rows) -> Iterator[str]:
    """What limits the update of each size."""
    for size, row in rows.iterrows():
        shares = ", ".join(f"{words} {100 * row[name] / row['update']:.0f} %" for name, words in LIMITS.items())
        least = "; none of them explains half" if row["explained"] < 0.5 else ""
        yield (
            f"B = {size:,}: an update takes {seconds(row['update'])} (quartiles {seconds(row['low'])} and "
            f"{seconds(row['high'])}); alone would take {shares} of it: {LIMITS[str(row['limit'])]} is the most{least}."
            f" Its batch is taken in {seconds(row['input'])}."
        )


def whole(rows: Rows) -> str:
    """Say how the epochs that were timed whole compare with the sum of their parts."""
    known = rows.dropna(subset=["whole"])
    each = ", ".join(f"{row['whole'] / row['epoch']:.2f} with B = {size:,}" for size, row in known.iterrows())
    return f"Epochs timed whole, once each, took of the product of updates and time of an update: {each}."


def seconds(value: float) -> str:
    """A time in the unit that fits.

    Example:
        >>> seconds(0.0123), seconds(364.0), seconds(2e-5)
        ('12.3 ms', '364 s', '20.0 µs')
    """
    factor, unit = (1, "s") if value >= 1 else (1e3, "ms") if value >= 1e-3 else (1e6, "µs")
    return f"{significant(factor * value)} {unit}"


def interval(low: float, high: float) -> str:
    """A 95 % interval."""
    return f"95 % bootstrap interval [{significant(low)}, {significant(high)}]"

"""Table 3.1 in sentences, one for each row, and what its rows of time rest on."""

from collections.abc import Iterator

from flatmin.results import Tables
from flatmin.results.words import significant
from flatmin.studies.small_against_large.rows import SAME, largest_alike, rows, sizes_of
from flatmin.studies.small_against_large.times import TIMES
from flatmin.studies.small_against_large.trainings import POINTS


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each row, then what they rest on."""
    for row in rows(tables):
        words = "small less large" if row.unit == "points" else "large over small"
        yield (
            f"Table 3.1, {row.aspect} (small, large: {row.book}) {row.verdict}: {row.small} and {row.large}; {words} "
            f"{row.compared} (95 % t interval over {row.of})."
        )
    times, points = tables.frames[TIMES], tables.frames[POINTS]
    if len(times):
        small, large = sizes_of(tables)
        medians = times.groupby("batch_size")["update"].median()
        each = {size: significant(1e6 * medians[size] / size) for size in (small, large)}
        yield (
            f"Timed on {times['device'].iloc[0]}, threads {times['threads'].iloc[0]:.0f}, all sizes in turn: an update "
            f"takes less than {SAME:g} times that of {small:,} examples up to a batch of "
            f"{largest_alike(times, small):,}; an example costs {each[small]} microseconds in a batch of {small:,} and "
            f"{each[large]} in one of {large:,}. Without parallelism: one example after the other on one CPU thread, "
            "their gradients added up."
        )
    for at, part in points.groupby("at", sort=False):
        said = [
            f"batches of {size:,} after {mine['epochs'].mean():,.0f} epochs and {mine['updates'].mean():,.0f} updates, "
            f"training loss {significant(mine['train_loss'].mean())} ({mine['seed'].nunique()} of "
            f"{points['seed'].nunique()} seeds)"
            for size, mine in part.groupby("batch_size")
        ]
        yield f"At {at}: {'; '.join(said)}."

"""The finding as text: numbers by name, and a table with a row for each subject."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from flatmin.report.finding import Evidence, Tally, partitions
from flatmin.report.held_out import interval_text, rounded
from flatmin.report.published import EPSILONS, LARGE, SMALL
from flatmin.report.sheet import Sheet
from flatmin.report.subjects import PUBLISHED, STRONG
from flatmin.results.intervals import Interval
from flatmin.results.words import SEARCH_NAMES, counted, significant

FINDING_CAPTION = (
    "What the published search owes to the gradient where training stopped. Share: what it finds at the minima in per "
    "cent of a strong search's value, geometric mean and range of single seeds. Less than in a smaller box: its "
    "searches, in every space and reading, that found less than it had in a box inside, which no maximum does. Order "
    "turned: seeds whose large-batch minimum is the sharper one by the strong search and not by the published one, and "
    "pairs of networks on the way. Rank correlation of share and length of the gradient along training: mean "
    "over seeds. Equal loss: sharpness of large over small batch at the lowest loss that both reach on the way, "
    f"geometric mean over seeds. 95 % intervals in square brackets. ε = {EPSILONS[0]:g}, full space, batch statistics."
)
SHEET_COLUMNS = {
    "ShareSmall": ("share (%)", "small"),
    "ShareLarge": ("share (%)", "large"),
    "Impossible": ("", "less than in a smaller box"),
    "Turned": ("order turned", "minima"),
    "TurnedAlong": ("order turned", "on the way"),
    "RankSmall": ("rank correlation", "small"),
    "RankLarge": ("rank correlation", "large"),
    "EqualLossPublished": ("equal loss", "published"),
    "EqualLossStrong": ("equal loss", "strong"),
}
WIDTHS = (0.092, 0.085, 0.085, 0.075, 0.065, 0.055, 0.08, 0.08, 0.09, 0.09)
NOTHING = "No study has both searches."


NUMBERS: dict[str, Callable[[Evidence], str]] = {
    "ShareSmall": lambda one: seeds_text(percent(one.share[SMALL])),
    "ShareLarge": lambda one: seeds_text(percent(one.share[LARGE])),
    "Impossible": lambda one: one.impossible[PUBLISHED].text,
    "ImpossibleStrong": lambda one: one.impossible[STRONG].text,
    "Sharper": lambda one: one.sharper.text,
    "Turned": lambda one: one.turned.text,
    "TurnedAlong": lambda one: one.turned_along.text,
    "OrderPublished": lambda one: interval_text(one.order[PUBLISHED]),
    "OrderStrong": lambda one: interval_text(one.order[STRONG]),
    "RankSmall": lambda one: interval_text(one.correlation[SMALL]),
    "RankLarge": lambda one: interval_text(one.correlation[LARGE]),
    "SwingShare": lambda one: seeds_text(one.swing[LARGE]["share"]),
    "SwingStrong": lambda one: seeds_text(one.swing[LARGE]["strong"]),
    "EqualLossPublished": lambda one: interval_text(one.equal_loss.order[PUBLISHED]),
    "EqualLossStrong": lambda one: interval_text(one.equal_loss.order[STRONG]),
}
"""What the text quotes of a subject, by name."""


def numbers_of(one: Evidence) -> dict[str, str]:
    """The numbers of a subject as text, by name."""
    return {name: text(one) for name, text in NUMBERS.items()}


def totals(found: Sequence[Evidence]) -> dict[str, str]:
    """What the text quotes of all subjects together, by name."""
    counts = {
        "Impossible": [one.impossible[PUBLISHED] for one in found],
        "ImpossibleStrong": [one.impossible[STRONG] for one in found],
        "Sharper": [one.sharper for one in found],
        "Turned": [one.turned for one in found],
        "TurnedAlong": [one.turned_along for one in found],
    }
    shares = {name: single_seeds(found, regime) for name, regime in (("Small", SMALL), ("Large", LARGE))}
    return {
        **{name: Tally.total(parts).text for name, parts in counts.items()},
        **{f"Share{name}": spread(values) if values else "–" for name, values in shares.items()},
    }


def finding_sheet(found: Sequence[Evidence]) -> Sheet:
    """The finding, network by network."""
    lines = []
    for one in found:
        texts = numbers_of(one)
        seeds = counted(one.sharper.all, "seed") if one.sharper.all else "no pair"
        lines.append([f"{one.name}, {seeds}", *(texts[name] for name in SHEET_COLUMNS)])
    columns = pd.MultiIndex.from_tuples([("", ""), *SHEET_COLUMNS.values()])
    sides = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in WIDTHS)
    notes = [note for one in found for note in partition_notes(one)] if found else [NOTHING]
    return Sheet("finding", FINDING_CAPTION, pd.DataFrame(lines, columns=columns), notes, sides=sides)


def partition_notes(one: Evidence) -> list[str]:
    """What other batches in which the loss is taken do to the sharpness at the same minima."""
    rows = partitions(one.subject)
    notes = []
    for _, mine in rows.groupby(["method", "examples"]) if len(rows) else ():
        search = SEARCH_NAMES[str(mine["method"].iloc[0])]
        parts = "; ".join(
            f"in batches of {size:,.0f}, {significant(small)} and {significant(large)} %"
            for size, small, large in mine[["partition", SMALL, LARGE]].to_numpy(float)
        )
        seeds = counted(int(mine["seeds"].iloc[0]), "seed")
        notes.append(f"{one.name}, sharpness of small and large batch by the {search} ({seeds}): {parts}.")
    return notes


def percent(found: Interval) -> Interval:
    """A share in per cent."""
    return Interval(100 * found.center, 100 * found.low, 100 * found.high, tuple(100 * value for value in found.values))


def single_seeds(found: Iterable[Evidence], regime: str) -> list[float]:
    """The shares of single seeds in per cent, of all subjects."""
    return [100 * value for one in found for value in one.share[regime].values]


def seeds_text(found: Interval) -> str:
    """The mean with the range over single seeds, such as ``18 (1.6 to 63)``; a dash without seeds."""
    if not found.values:
        return "–"
    center, ends = rounded(found.center), spread(found.values)
    return center if ends == center else f"{center} ({ends})"


def spread(values: Sequence[float]) -> str:
    """A range of numbers to two digits, or the one.

    Example:
        >>> spread([4.0, 11214.0]), spread([98.5])
        ('4.0 to 11,000', '98')
    """
    low, high = rounded(min(values)), rounded(max(values))
    return low if low == high else f"{low} to {high}"

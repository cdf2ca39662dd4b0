"""What the correlations show, in sentences; a verdict only where an interval excludes 0."""

from collections.abc import Iterator

import pandas as pd

from flatmin.results import Tables
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.correlation.grid import AXES, MEASURES, TRAININGS
from flatmin.studies.correlation.judged import CONTROLS, GAPS, LEVEL, apart, judged, named, reached

SHOWN = 6
"""Measures that a sentence names on either side; the table has all."""


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    rows = tables.frames[TRAININGS]
    if rows.empty:
        return
    yield from trainings(tables)
    found = judged(tables)
    if found.empty:
        return
    yield from searches(tables)
    tested = found[found["which"].isin(["plain", "granulated"])]
    yield (
        f"{counted(len(tested), 'interval')} are looked at, of which chance alone would put 5 %, some "
        f"{len(tested) * (1 - LEVEL):.0f}, off 0; {int(apart(tested).sum())} exclude it, and of "
        f"{int((tested['holm'] < 1 - LEVEL).sum())} Holm's correction for all of them leaves a p-value below 5 % (*)."
    )
    for gap, words in GAPS.items():
        for which in ("plain", "granulated"):
            yield from verdict(tested[(tested["gap"] == gap) & (tested["which"] == which)], words, which)
        yield from contradictions(tested[tested["gap"] == gap], words)
        yield from along(found[(found["gap"] == gap) & found["which"].isin(AXES)], words)
    yield (
        f"All this is said of {scope(tables)}, and of nothing else: a correlation over a grid of settings is no cause, "
        "and with other data, networks or trainings it may be another."
    )


def scope(tables: Tables) -> str:
    """What was trained on what."""
    asked = tables.experiment
    data, rows = asked["data"], tables.frames[TRAININGS]
    some = f"{data['examples']:,} images of" if data.get("examples") else "all of"
    name = DATA_NAMES.get(data["name"], data["name"])
    widths = ", ".join(f"{width:g}" for width in sorted(rows["width"].unique()))
    return f"ReLU networks of two hidden layers ({widths} wide) on {some} {name} by SGD without momentum"


def trainings(tables: Tables) -> Iterator[str]:
    """How many were trained, how many reached the target, and how they generalise."""
    rows, runs, asked = tables.frames[TRAININGS], reached(tables), tables.experiment
    grid = " by ".join(f"{rows[axis].nunique()} {axis.replace('_', ' ')}s" for axis in AXES)
    yield (
        f"{counted(len(rows), 'training')} ({grid}, by {counted(rows['seed'].nunique(), 'seed')}): {len(runs)} reached "
        f"a cross-entropy of {asked['target']:g} within {asked['epochs']:,} epochs and are judged."
    )
    short = rows[rows["status"] != "reached"]
    if len(short):
        where = "; ".join(
            f"{axis.replace('_', ' ')} {', '.join(f'{value:g} ({number})' for value, number in counts.items())}"
            for axis in AXES
            if len(counts := short[axis].value_counts().sort_index())
        )
        yield f"{len(short)} did not and are left out, which thins the grid unevenly: {where}."
    if len(runs):
        accuracy, loss = runs["accuracy_gap"], runs["loss_gap"]
        yield (
            f"Gap in accuracy (train less test) {100 * accuracy.min():.1f} to {100 * accuracy.max():.1f} points, "
            f"median {100 * accuracy.median():.1f}; gap in loss (test less train) {loss.min():.3f} to "
            f"{loss.max():.3f}, median {loss.median():.3f}."
        )


def searches(tables: Tables) -> Iterator[str]:
    """Name the measures that say of themselves that they have not converged."""
    rows = tables.frames[MEASURES]
    of = rows[rows["converged"].notna()].groupby(["measure", "setting"], sort=False)["converged"]
    unfinished = [
        (named(str(measure), str(setting)), int((part == 0).sum()), len(part))
        for (measure, setting), part in of
        if (part == 0).any()
    ]
    if unfinished:
        each = "; ".join(f"{name} {count} of {whole}" for name, count, whole in unfinished)
        yield f"Numbers that say of themselves that they have not converged, and are judged all the same: {each}."


def verdict(rows: pd.DataFrame, gap: str, which: str) -> Iterator[str]:
    """Which measures rise and fall with a gap, and how the best stands beside the best control."""
    rows, control = rows.dropna(subset=["tau"]), rows["measure"].isin(CONTROLS)
    if rows.empty:
        return
    sides = {"rise with": rows["low"] > 0, "fall with": rows["high"] < 0}
    parts = [f"{listed(rows[side])} {word} it" for word, side in sides.items() if side.any()]
    rest = int((~apart(rows)).sum())
    parts += [f"{rest} of {len(rows)} are undecided"] if rest else []
    yield f"{gap[:1].upper()}{gap[1:]}, {which} tau: {'; '.join(parts)}."
    own, others = rows[~control], rows[control]
    if len(own) and len(others):
        best, beside = strongest(own).iloc[0], strongest(others).iloc[0]
        yield (
            f"The strongest of the measures is {one(best)}, of the controls {one(beside)}"
            f"{'' if abs(best['tau']) > abs(beside['tau']) else ', which no measure of sharpness surpasses'}."
        )


def listed(rows: pd.DataFrame) -> str:
    """The strongest measures with their taus, a star where Holm leaves them, and how many more there are."""
    shown = strongest(rows).head(SHOWN)
    each = [(within(row), row["tau"], row["holm"] < 1 - LEVEL) for _, row in shown.iterrows()]
    more = [f"{len(rows) - len(each)} more"] if len(rows) > len(each) else []
    return ", ".join([*(f"{name} {tau:.2f}{'*' * bool(left)}" for name, tau, left in each), *more])


def strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, the tau that is farthest from 0 first."""
    return rows.sort_values("tau", key=abs, ascending=False, kind="stable")


def one(row: "pd.Series[float]") -> str:
    """A measure with its tau and interval."""
    ends = f" [{row['low']:.2f}, {row['high']:.2f}]" if row["low"] == row["low"] else ""
    return f"{within(row)}, {row['tau']:.2f}{ends}"


def within(row: "pd.Series[float]") -> str:
    """A measure's name within a sentence."""
    name = named(str(row["measure"]), str(row["setting"]))
    return name if name[:2].isupper() or name.startswith(("Keskar", "PAC")) else f"{name[:1].lower()}{name[1:]}"


def along(rows: pd.DataFrame, gap: str) -> Iterator[str]:
    """How much each axis has of the granulated tau, and which measures say the same along all."""
    rows = rows[rows["tau"].notna()]
    axes = [axis for axis in AXES if (rows["which"] == axis).any()]
    if len(axes) < 2:
        return
    sizes = rows["tau"].abs().groupby(rows["which"]).median()
    each = ", ".join(f"{sizes[axis]:.2f} along {axis.replace('_', ' ')}" for axis in axes)
    sided = rows[apart(rows)].groupby(["measure", "setting"], sort=False)
    same = [named(str(key[0]), str(key[1])) for key, part in sided if agree(part, len(axes))]
    yield (
        f"The granulated tau with the {gap} is a mean of unlike axes: the median size of tau is {each}. Apart from 0 "
        f"and of one sign along all of them: {', '.join(same) or 'no measure and no control'}."
    )


def agree(rows: pd.DataFrame, axes: int) -> bool:
    """Whether there is a tau for each axis, and all have one sign."""
    return len(rows) == axes and abs(int((rows["tau"] > 0).sum()) * 2 - axes) == axes


def contradictions(rows: pd.DataFrame, gap: str) -> Iterator[str]:
    """Name the measures whose plain and granulated taus are both apart from 0, on different sides."""
    keys = ["measure", "setting"]
    sided = rows[apart(rows)]
    both = sided[sided["which"] == "plain"].merge(sided[sided["which"] == "granulated"], on=keys, suffixes=("", "_g"))
    turned = both[both["tau"] * both["tau_g"] < 0]
    if len(turned):
        names = ", ".join(f"{within(row)} {row['tau']:.2f} and {row['tau_g']:.2f}" for _, row in turned.iterrows())
        yield f"For the {gap}, plain and granulated tau say opposite things of {names}."

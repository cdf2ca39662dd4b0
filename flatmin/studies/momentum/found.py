"""What the study of momentum shows, judged by its tables."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.words import counted
from flatmin.studies.momentum.ends_found import ends
from flatmin.studies.momentum.valley import HUMP

SAME = 1e-12
LEFT = 0.5
"""Half of the loss at the toy network's saddle: a descent below has left it."""
VALLEY, PLATEAU = 6.067, (2.5, 5.0)


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    if len(rows := tables.frames["momentum_identity"]):
        yield identity(rows)
        yield from parting(rows)
    if len(tables.frames["momentum_ball"]) and len(tables.frames["momentum_sweep"]):
        yield hump(tables)
        yield from sweep(tables)
        yield from places(tables)
    if len(rows := tables.frames["momentum_saddle"]):
        yield from saddle(rows, tables)
    if len(rows := tables.frames["momentum_ends"]):
        yield from ends(rows, tables)


def identity(rows: pd.DataFrame) -> str:
    """Judge L8: the closed form (3.13) is the recursion, and torch's SGD is at a constant rate."""
    constant = rows[rows["schedule"] == "constant"]
    closed, torch = rows["closed_form"].max(), constant["torch"].max()
    verdict = "holds" if closed <= SAME and torch <= SAME else "does not hold"
    steps, seeds = counted(int(rows["step"].max()), "step"), counted(rows["seed"].nunique(), "seed")
    return (
        f"L8 {verdict}: over {steps} of {seeds} in float64 the closed form (3.13) is {closed:.1g} from the recursion "
        "at most, entry by entry; the weights of "
        f"torch.optim.SGD at a constant rate are {torch:.1g} from its. {SAME:g} counts as equal."
    )


def parting(rows: pd.DataFrame) -> Iterator[str]:
    """Say when torch's SGD parts from the recursion: as the rate changes, which its buffer does not hold."""
    rows = rows[rows["schedule"] == "drop"]
    if rows.empty:
        return
    first = rows["learning_rate"].iloc[0]
    changed = rows[rows["learning_rate"] != first].groupby("seed").first()
    before = rows[rows["learning_rate"] == first].groupby("seed").last()
    if changed.empty:
        return
    own, other = (changed[name] / before["movement"] for name in ("movement", "torch_movement"))
    rate = changed["learning_rate"].iloc[0] / first
    yield (
        f"Where the rate falls to {rate:g} of itself the two part, {rows['torch'].max():.2g} in a weight at the end: "
        f"at that step the recursion's movement is {own.mean():.2f} of the one before, torch's "
        f"{other.mean():.2f} (means of {counted(len(own), 'seed')}; "
        f"{own.min():.2f} to {own.max():.2f} and {other.min():.2f} to {other.max():.2f}), as torch multiplies all of "
        "the last gradients by the new rate and the recursion only the newest."
    )


def hump(tables: Tables) -> str:
    """Judge L9: gradient descent and a weak momentum stay in the local minimum, a strong one crosses the hump."""
    asked, rows = tables.experiment["ball"], tables.frames["momentum_ball"]
    ends = rows.groupby("momentum")["w"].last()
    none, weak, strong = (float(ends[key]) for key in (0.0, asked["weak"], asked["momentum"]))
    holds = none < HUMP and weak < HUMP and strong > HUMP
    critical = tables.frames["momentum_sweep"].iloc[0]
    low, high = critical["critical_low"], critical["critical_high"]
    found = f"{(low + high) / 2:.6f} (to {max(high - low, 1e-6):.0e})" if np.isfinite(high) else "none"
    return (
        f"L9 {'holds' if holds else 'does not hold'}: from {asked['start']:g} at learning rate "
        f"{asked['learning_rate']:g}, gradient descent ends at {none:.3f}, momentum {asked['weak']:g} at {weak:.3f}, "
        f"momentum {asked['momentum']:g} at {strong:.3f}; the hump is at {HUMP:g}. The least momentum that crosses: "
        f"{found}. No chance is in this."
    )


def sweep(tables: Tables) -> Iterator[str]:
    """Say which momenta cross, and whether a larger rate without momentum does as well."""
    rows = tables.frames["momentum_sweep"]
    crossing = rows[rows["end"] > HUMP]
    back = rows[(rows["momentum"] > crossing["momentum"].min()) & ~(rows["end"] > HUMP)] if len(crossing) else crossing
    which = "all" if back.empty else f"all but {', '.join(f'{value:g}' for value in back['momentum'])}"
    if len(crossing):
        yield f"Of {len(rows)} momenta from 0 to 0.99, {len(crossing)} cross: from the least on {which}."
    beyond = rows["descent_end"] > HUMP
    inside = rows["descent_end"].notna() & ~beyond
    rates = rows.loc[inside, "effective_rate"]
    least = f"; the least that crosses is {rows.loc[beyond, 'effective_rate'].min():.3g}" if beyond.any() else ""
    lowest, highest = rows["effective_rate"].min(), rows["effective_rate"].max()
    yield (
        f"Gradient descent at their effective rates, learning rate / (1 - momentum), {lowest:.3g} to {highest:.3g}, "
        f"crosses at {int(beyond.sum())} of {len(rows)}: {int(inside.sum())} "
        f"(rates up to {rates.max():.3g}) end before the hump, {int(rows['descent_end'].isna().sum())} leave{least}."
    )


def marks(way: pd.DataFrame) -> list[tuple[str, "pd.Series[float]"]]:
    """The steps of Fig. 3.17: the steepest of the slope, the flattest of the plateau, the valley, the steepest uphill.

    Only the first time that the ball comes by counts.
    """
    there = way.iloc[: int((way["w"] > HUMP).to_numpy().argmax()) or len(way)]
    slope, plateau = there[there["w"] < PLATEAU[0]], there[there["w"].between(*PLATEAU)]
    uphill = there[there["w"].between(VALLEY, HUMP) & (there["gradient"] > 0)]
    found = []
    if len(slope):
        found.append(("slope", slope.iloc[int(slope["gradient"].abs().argmax())]))
    if len(plateau):
        found.append(("plateau", plateau.iloc[int(plateau["gradient"].abs().argmin())]))
    if there["w"].max() > VALLEY - 0.5:
        found.append(("local minimum", there.iloc[int((there["w"] - VALLEY).abs().argmin())]))
    if len(uphill):
        found.append(("uphill", uphill.iloc[int(uphill["gradient"].argmax())]))
    return found


def places(tables: Tables) -> Iterator[str]:
    """Say what the movement is made of at the marked steps."""
    momentum = tables.experiment["ball"]["momentum"]
    rows = tables.frames["momentum_ball"]
    parts = [
        f"{name} (w = {row['w']:.2f}): {row['last']:+.3f} {row['push']:+.3f} = {row['movement']:+.3f}"
        for name, row in marks(rows[rows["momentum"] == momentum])
    ]
    yield f"Momentum {momentum:g}, share of the last movement and negative gradient: {'; '.join(parts)}."


def saddle(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    """Say whether momentum passes the toy network's saddle, from the line that leads into it and from beside."""
    asked = tables.experiment["saddle"]
    on = rows[rows["perturbation"] == 0]
    if len(on):
        ends = on.groupby("method", sort=False).last()
        stay = bool((np.hypot(ends["w1"], ends["w2"]) < 0.05).all())
        yield (
            f"Momentum {'does not help' if stay else 'helps'} on the stable manifold: from "
            f"({asked['start'][0]:g}, {asked['start'][1]:g}) after {asked['steps']} steps "
            + ", ".join(
                f"{'gradient descent' if name == 'descent' else 'momentum'} is at ({row['w1']:.2g}, {row['w2']:.2g})"
                for name, row in ends.iterrows()
            )
            + "; the saddle is at the origin."
        )
    times = escaped(rows, asked["reached"])
    for moved, one in times.groupby("perturbation"):
        by = one.set_index("method")
        left, settled = by["left"], by["settled"]
        sooner = f", {left['descent'] / left['momentum']:.2f} times as soon" if left.notna().all() else ""
        yield (
            f"Moved by {moved:g} off it, the loss is below {LEFT:g} first after {steps_text(left['descent'])} without "
            f"momentum and {steps_text(left['momentum'])} with {asked['momentum']:g}{sooner}; below "
            f"{asked['reached']:g} for good after {steps_text(settled['descent'])} and "
            f"{steps_text(settled['momentum'])}."
        )
    yield from growth(times, asked)


def escaped(rows: pd.DataFrame, reached: float) -> pd.DataFrame:
    """After how many steps each descent from beside the line has left, and is below for good; NaN where it is not."""
    found = []
    for (moved, method), way in rows[rows["perturbation"] > 0].groupby(["perturbation", "method"]):
        left, above = way.loc[way["loss"] < LEFT, "step"], way.loc[~(way["loss"] < reached), "step"]
        settled = float(above.max() + 1) if len(above) else 0.0
        found.append(
            {
                "perturbation": moved,
                "method": method,
                "left": float(left.min()) if len(left) else np.nan,
                "settled": settled if settled <= way["step"].max() else np.nan,
            }
        )
    return pd.DataFrame(found, columns=["perturbation", "method", "left", "settled"])


def steps_text(steps: float) -> str:
    """So many steps, or that there were not enough."""
    return counted(int(steps), "step") if np.isfinite(steps) else "more steps than were taken"


def growth(times: pd.DataFrame, asked: dict[str, float]) -> Iterator[str]:
    """Compare what smaller perturbations cost with the growth that the saddle's eigenvalue of -2 gives a step."""
    rate, kept = asked["learning_rate"], asked["momentum"]
    total = 1 + kept + 2 * rate
    factors = {"descent": 1 + 2 * rate, "momentum": (total + np.sqrt(total**2 - 4 * kept)) / 2}
    wide = times.pivot(index="perturbation", columns="method", values="left").dropna()
    if len(wide) < 2:
        return
    cost = (wide.iloc[0] - wide.iloc[1]) / np.log(wide.index[1] / wide.index[0])
    yield (
        f"A perturbation a tenth as large costs {cost['descent'] * np.log(10):.1f} steps without momentum and "
        f"{cost['momentum'] * np.log(10):.1f} with; by the eigenvalue -2, which multiplies it by "
        f"{factors['descent']:.3g} and by {factors['momentum']:.3g} a step, "
        f"{np.log(10) / np.log(factors['descent']):.1f} and {np.log(10) / np.log(factors['momentum']):.1f}."
    )

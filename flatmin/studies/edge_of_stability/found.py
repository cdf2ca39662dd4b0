"""What the edge of stability shows, judged by its table.

R7: late in full-batch training the largest eigenvalue is what the optimiser stands, 2 / eta for gradient descent.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.words import counted

LATE = 0.75
"""The share of the steps after which training counts as late."""
NEAR = 0.2
NAMED = ["optimizer", "learning_rate", "momentum", "batch_size"]
OPTIMIZER_NAMES = {
    "descent": "gradient descent",
    "heavy_ball": "heavy-ball momentum",
    "nesterov": "Nesterov's momentum",
    "adam": "Adam",
}
LINES = {
    "descent": "2 / eta",
    "heavy_ball": "(2 + 2 beta) / eta",
    "nesterov": "(2 + 2 beta) / ((1 + 2 beta) eta)",
    "adam": "(2 + 2 beta1) / ((1 - beta1) eta), of the preconditioned Hessian",
}


def sentences(tables: Tables) -> Iterator[str]:
    """Yield what each group of trainings shows, then a sentence for each training."""
    rows = tables.frames["edge_of_stability"]
    if rows.empty:
        return
    whole = rows["batch_size"] == rows["batch_size"].max()
    for optimizer in OPTIMIZER_NAMES:
        mine = rows[whole & (rows["optimizer"] == optimizer)]
        if len(mine):
            yield verdict(optimizer, mine)
    descents = rows[whole & (rows["optimizer"] == "descent")]
    if descents["critical"].notna().any():
        yield critical(descents)
    if not whole.all():
        yield small_batches(rows[~whole])
    for _, way in rows.groupby([*NAMED, "seed"], sort=False):
        yield training(way)


def late(way: pd.DataFrame) -> "pd.Series[float]":
    """The ratio of the eigenvalue to the line, late in a training."""
    rows = way[way["step"] >= LATE * way["step"].max()]
    found: pd.Series[float] = (rows["effective"] / rows["threshold"]).dropna()
    return found


def ratios(rows: pd.DataFrame) -> np.ndarray:
    """The mean late ratio of each training; NaN where it left."""
    groups = [way for _, way in rows.groupby([*NAMED, "seed"], sort=False)]
    return np.array([late(way).mean() if np.isfinite(way["loss"]).all() else np.nan for way in groups])


def verdict(optimizer: str, rows: pd.DataFrame) -> str:
    """Judge R7 for the full-batch trainings of an optimiser."""
    found = ratios(rows)
    near = int((abs(found - 1) < NEAR).sum())
    claim = "R7" if optimizer == "descent" else f"R7 for {OPTIMIZER_NAMES[optimizer]}"
    off = ", ".join(f"{ratio:.3f}" for ratio in found)
    reached = int(sum((way["effective"] >= way["threshold"]).any() for _, way in rows.groupby([*NAMED, "seed"])))
    verdict = "holds" if near == len(found) else "undecided" if not reached else "does not hold"
    return (
        f"{claim} {verdict}: late in full-batch training the largest eigenvalue is, on average, "
        f"{off} of {LINES[optimizer]} ({counted(len(found), 'training')}: {reached} reached it, {near} stayed "
        f"within {NEAR:.0%} of it)."
    )


def critical(rows: pd.DataFrame) -> str:
    """Say what the critical sharpness, from losses alone, has of the largest eigenvalue early and late."""
    share = rows["critical"] / rows["hessian"]
    whole = rows.groupby([*NAMED, "seed"])["step"].transform("max")
    before, after = share[rows["step"] < (1 - LATE) * whole], share[rows["step"] >= LATE * whole]
    return (
        "The critical sharpness along the negative gradient, from losses alone, is on average "
        f"{before.mean():.2f} of the largest eigenvalue in the first {1 - LATE:.0%} of full-batch gradient descent "
        f"and {after.mean():.2f} in the last."
    )


def small_batches(rows: pd.DataFrame) -> str:
    """Say whether small batches stay below the line, and how far."""
    each = [
        f"{late(way).mean():.2f} with batches of {size:g}" for (size,), way in rows.groupby(["batch_size"], sort=True)
    ]
    below = all(late(way).max() < 1 for _, way in rows.groupby([*NAMED, "seed"]))
    verdict = "stay below" if below else "do not all stay below"
    return f"Small batches {verdict} the line of their learning rate late in training: {', '.join(each)}."


def training(way: pd.DataFrame) -> str:
    """Say where one training began, when it reached the line and how it went on."""
    first, last = way.iloc[0], way.iloc[-1]
    begin = f"{describe(first)}, seed {first['seed']:g}"
    if not np.isfinite(last["loss"]):
        return f"{begin}: diverged after {last['step']:g} steps."
    seen = way.dropna(subset=["effective"])
    over = seen[seen["effective"] >= seen["threshold"]]
    reached = f"at the line first after {over['step'].iloc[0]:g} steps" if len(over) else "never at the line"
    ratio = late(way)
    inside = f"{(abs(ratio - 1) < NEAR).mean():.0%} of the late measurements within {NEAR:.0%} of it"
    rises = way.loc[way["step"] >= LATE * last["step"], "rises"].mean()
    rising = f"; the loss rises in {rises:.0%} of the late steps" if np.isfinite(rises) else ""
    own = "largest eigenvalue" if (way["effective"] == way["hessian"]).all() else "preconditioned eigenvalue"
    steep = f"{own} {seen['effective'].iloc[0]:.3g} at the start, {seen['effective'].iloc[-1]:.3g} at the end"
    return (
        f"{begin}: {steep}, {reached} of {last['threshold']:.4g}, late mean ratio {ratio.mean():.3f}, "
        f"{inside}{rising}; loss {first['loss']:.3g} to {last['loss']:.3g}."
    )


def describe(row: "pd.Series[float]") -> str:
    """A way of training in words."""
    momentum = f", momentum {row['momentum']:g}" if str(row["optimizer"]) in ("heavy_ball", "nesterov") else ""
    name = OPTIMIZER_NAMES[str(row["optimizer"])]
    return f"{name[:1].upper()}{name[1:]} {row['learning_rate']:g}{momentum}, batches of {row['batch_size']:g}"

"""What the toy network shows, judged by its tables."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from flatmin.results import Tables

SADDLE, CLOSE = 0.05, 1e-9
METHOD_NAMES = {"descent": "gradient descent", "momentum": "momentum"}


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each thing found."""
    points, descents = tables.frames["critical_points"], tables.frames["descents"]
    if len(points):
        yield eigenvalues(points)
        yield kinds_of_points(points)
    if len(tables.frames["escapes"]):
        yield escape(tables.frames["escapes"])
    for _, way in descents.groupby(["start_w1", "start_w2", "method"], sort=False):
        yield descent(way, float(tables.provenance["experiment"]["reached"]))


def eigenvalues(points: pd.DataFrame) -> str:
    """Judge L1: the eigenvalues are -2 and 2 at the origin, and 0 and 2 (w1^2 + w2^2) where w1 w2 = 1."""
    known = points[(points["loss"] == 0) | ((points["w1"] == 0) & (points["w2"] == 0))]
    origin = known["loss"] != 0
    low = np.where(origin, -2.0, 0.0)
    high = np.where(origin, 2.0, 2 * (known["w1"] ** 2 + known["w2"] ** 2))
    off = float(max(abs(known["lowest"] - low).max(), abs(known["highest"] - high).max())) if len(known) else np.nan
    verdict = "holds" if off < CLOSE else "does not hold" if len(known) else "was not asked"
    return f"L1 {verdict}: eigenvalues at {len(known)} critical points, {off:.1g} from the closed form at most."


def kinds_of_points(points: pd.DataFrame) -> str:
    """Say how many points are of which kind, and what the strict sign test makes of the minima."""
    counts = ", ".join(f"{number} {kind}" for kind, number in points["kind"].value_counts().items())
    text = f"Of {len(points)} points: {counts}."
    if (points["kind"] == "minimum or flat").any():
        text += " Every minimum has a direction without curvature, so by the signs alone none is sure to be one."
    return text


def escape(rows: pd.DataFrame) -> str:
    """Judge L2: a step along the eigenvector of the negative eigenvalue lowers the loss, both ways."""
    verdict = "holds" if (rows["loss"] < 1).all() else "does not hold"
    best = rows.sort_values("loss", kind="stable").iloc[0]
    return (
        f"L2 {verdict}: steps from the saddle along (1, 1) and back lower its loss of 1; to {best['loss']:.4g} at "
        f"length {abs(best['length']):g}, where the quadratic model says {best['model']:.4g}."
    )


def descent(way: pd.DataFrame, reached: float) -> str:
    """Say where a descent ends."""
    first, last = way.iloc[0], way.iloc[-1]
    begin = f"{METHOD_NAMES[first['method']].capitalize()} from ({first['w1']:g}, {first['w2']:g})"
    where, after = f"({last['w1']:.3g}, {last['w2']:.3g})", f"after {last['step']:g} steps"
    if not np.isfinite(last["loss"]):
        return f"{begin}: diverged {after}."
    if last["loss"] < reached:
        below, above = way[way["loss"] < reached]["step"], way[way["loss"] >= reached]["step"]
        for_good = 0 if above.empty else above.iloc[-1] + 1
        back = f", for good after {for_good:g}" if for_good > below.iloc[0] else ""
        return f"{begin}: loss below {reached:g} after {below.iloc[0]:g} steps{back}; ends at {where}."
    if np.hypot(last["w1"], last["w2"]) >= SADDLE:
        return f"{begin}: at {where} {after}, loss {last['loss']:.4g}."
    line = ", on the line w1 = -w2 that leads into it" if (way["w1"] == -way["w2"]).all() else ""
    return f"{begin}: at the saddle {after}, loss {last['loss']:.4g}{line}."

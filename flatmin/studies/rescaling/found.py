"""What a rescaling does to each measure, judged by its table."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from flatmin.results import Tables

SAME, MOVED, OUTPUTS = 1e-3, 10.0, 1e-5


def sentences(tables: Tables) -> Iterator[str]:
    """Yield one sentence for each measure, after what all have in common."""
    rows = tables.frames["rescaling"]
    if rows.empty:
        return
    apart, ends = rows["outputs"].max(), f"{rows['amount'].min():g} to {rows['amount'].max():g}"
    verdict = "holds" if apart <= OUTPUTS else "does not hold"
    yield (
        f"R1, the function stays: {verdict}; at a from {ends} the outputs differ by {apart:.1g} of the largest at most."
    )
    for name, part in rows.groupby("measure", sort=False):
        yield moved(str(name), part)


def moved(name: str, rows: pd.DataFrame) -> str:
    """Say by how much a measure moves."""
    own = float(rows.loc[np.isclose(rows["amount"], 1), "value"].iloc[0])
    ratios = rows["value"] / own
    furthest = ratios[(np.log(ratios.abs().clip(lower=1e-300))).abs().idxmax()]
    if (abs(ratios - 1) <= SAME).all():
        return f"{name}: the same to {abs(ratios - 1).max():.1g} (value {own:.4g})."
    factor = max(abs(furthest), 1 / abs(furthest)) if furthest else np.inf
    kind = "moves by more than 10 times" if factor > MOVED else "moves"
    return f"{name}: {kind}, from {own:.4g} to {furthest * own:.4g} at the furthest."

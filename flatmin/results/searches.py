"""The searches of the sharpness table: those of both minima, a row a seed, and what is to be said of them."""

import numpy as np
import pandas as pd

from flatmin.results.statistics import PAIR, of_minima
from flatmin.results.tables import Tables
from flatmin.results.words import SEARCH_NAMES, counted

TOLD_BY = ["method", "batch_norm", "subspace_dim", "examples"]
"""What tells searches of one space and epsilon apart."""
STANDARD = ("identity", "normal", "")


def with_standard_a(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the searches with the standard A: normal entries in a random subspace, the identity in the full space."""
    return rows[rows["distribution"].isin(STANDARD) | rows["distribution"].isna()]


def methods_of(rows: pd.DataFrame) -> dict[str, str]:
    """Return the methods that occur in the rows with their names, the published search first."""
    return {method: SEARCH_NAMES.get(method, method) for method in sorted(rows["method"].unique())}


def searches_note(rows: pd.DataFrame) -> list[str]:
    """Return the space with its dimensions and draws, and the searches whose value a logarithmic axis cannot show."""
    random = rows[rows["space"] == "random"]
    draws, dims = random["draw"].nunique(), sorted(set(random["subspace_dim"].dropna().astype(int)))
    return [
        "Full space" if rows["space"].eq("full").any() else "",
        f"Random subspace: p = {', '.join(map(str, dims))}, mean of {counted(draws, 'draw')}" if dims else "",
        *unseen_notes(rows),
    ]


def unseen_notes(rows: pd.DataFrame) -> list[str]:
    """Return how many searches are left out of a logarithmic axis, and how many did not converge."""
    zero, lost = int((rows["sharpness"] <= 0).sum()), int((~np.isfinite(rows["sharpness"])).sum())
    open_ended = int((~rows["converged"].astype(bool)).sum()) if "converged" in rows else 0
    return [
        f"Sharpness 0 in {zero} of {counted(len(rows), 'search')}, left out" if zero else "",
        f"{lost} of {counted(len(rows), 'search')} not finite, left out" if lost else "",
        f"{open_ended} of {counted(len(rows), 'search')} not converged" if open_ended else "",
    ]


def pair_rows(tables: Tables) -> pd.DataFrame:
    """Return the searches at the minima of the small and the large batch, with the standard A."""
    rows = with_standard_a(of_minima(tables.sharpness))
    return rows[rows["regime"].isin(PAIR)]


def seed_means(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return one row per seed: the mean over the draws of a random subspace, converged if all draws are.

    Args:
        rows: The searches.
        *columns: Columns beyond the setting that tell searches apart.
    """
    keys = ["regime", "space", "epsilon", *TOLD_BY, *columns, "seed"]
    draws = rows.groupby(keys, sort=False, as_index=False, dropna=False)
    seeds = draws.agg(sharpness=("sharpness", "mean"), converged=("converged", "all"))
    return seeds.sort_values("method", kind="stable")

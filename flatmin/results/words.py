"""The field's words for what tables name, and numbers as people write them."""

from typing import Any

import numpy as np
import pandas as pd

from flatmin.data.sets import publications

LOSS = "cross-entropy (nats)"
"""What a loss is unless an experiment brings its own."""
REGIME_NAMES = {"small_batch": "small batch", "large_batch": "large batch"}
METHOD_NAMES = {
    **{name: name.upper() for name in ("asam", "lamb", "lars", "sam", "swa", "swap")},
    **{"m_sam": "m-SAM", "sqrt_scaling": "square-root scaling", "sqrt_ghost": "square-root scaling, ghosts"},
    **{"akiba": "Akiba et al.", "goyal": "Goyal et al.", "hoffer": "Hoffer et al."},
}
"""How names that variations usually have are written."""
SPACES = {"full": "full space", "random": "random subspace"}
SEARCHES = {"paper": "published", "strong": "strong"}
SEARCH_NAMES = {method: f"{name} search" for method, name in SEARCHES.items()}
DATA_NAMES = {name: entry.words for name, entry in publications().items()} | {
    "timit": "TIMIT",
    "timit_sample": "TIMIT sample",
}

BATCH_NORM_NAMES = {
    "running": "running averages",
    "batch": "batch statistics",
    "reestimate": "re-estimated statistics",
    "interpolated": "interpolated statistics",
}


def label_of(regime: str) -> str:
    """Return a regime's name in words."""
    return (REGIME_NAMES | METHOD_NAMES).get(regime) or regime.replace("_", " ")


def series_of(regime: str) -> str:
    """Return the name of the numbered series that a regime belongs to; empty where its name ends in no number.

    Example:
        >>> series_of("warm_start_20"), series_of("large_batch")
        ('warm_start', '')
    """
    name, _, number = regime.rpartition("_")
    return name if number.isdigit() else ""


def number_of(regime: str) -> int:
    """Return the number that a regime's name ends with."""
    return int(regime.rpartition("_")[2])


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right form.

    Example:
        >>> counted(1, "seed"), counted(100, "epoch"), counted(2, "search"), counted(2, "study"), counted(2, "way")
        ('1 seed', '100 epochs', '2 searches', '2 studies', '2 ways')
    """
    after_consonant = noun.endswith("y") and noun[-2:-1] not in "aeiou"
    plural = f"{noun[:-1]}ies" if after_consonant else f"{noun}es" if noun.endswith(("rch", "tch")) else f"{noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural}"


def significant(value: float, digits: int = 3) -> str:
    """Return a number to so many significant digits, without an exponent from 0.0001 to ten million.

    Example:
        >>> [significant(value) for value in (1234.5, 66.0, 0.01234, 0.0, 2.5e-7, float("inf"))]
        ['1,234', '66.0', '0.0123', '0', '2.50e-07', '∞']
    """
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞" if value > 0 else "–∞"
    rounded = float(f"{value:.{digits - 1}e}")
    magnitude = int(np.floor(np.log10(abs(rounded)))) if rounded else 0
    if not -5 < magnitude < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}" if rounded else "0"


def signed(text: str) -> str:
    """Return a number with a minus sign in place of a hyphen."""
    return f"−{text[1:]}" if text.startswith("-") else text


def span(values: "pd.Series[Any]", noun: str) -> str:
    """Return a range of whole numbers with its noun; empty where there are no values.

    Example:
        >>> span(pd.Series([92, 100]), "epoch")
        '92–100 epochs'
    """
    if values.empty:
        return ""
    low, high = int(values.min()), int(values.max())
    return counted(low, noun) if low == high else f"{low:,}–{high:,} {noun}s"

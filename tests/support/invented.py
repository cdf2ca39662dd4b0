"""Tables that were never measured: the one place where tests fill in what they have no word on."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from flatmin.results import columns


def rows_of(table: str, rows: Iterable[Mapping[str, Any]], blank: Any = math.nan, **fixed: Any) -> pd.DataFrame:
    """Rows of a table; `fixed` is in all of them, and what neither has is `blank`."""
    known = columns()[table]
    filled = [dict.fromkeys(known, blank) | fixed | row for row in rows]
    return pd.DataFrame(filled, columns=list(known))

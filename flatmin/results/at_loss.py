"""What a column was where a training had come to a loss: networks are compared at equal loss, not after equal time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def first_reached(way: pd.DataFrame, loss: str, columns: Sequence[str]) -> pd.DataFrame:
    """The networks of a training that had a lower loss than all before them, where all has a logarithm.

    Args:
        way: Networks of one training, in time.
        loss: The column that holds their loss.
        columns: What is asked of them; those at which one is 0, infinite or not a number are passed over.
    """
    asked = way[[loss, *columns]]
    way = way[(asked.gt(0) & asked.lt(np.inf)).all(axis="columns")]
    return way[way[loss] < way[loss].cummin().shift(fill_value=np.inf)]


def value_at(way: pd.DataFrame, loss: str, column: str, wanted: float) -> float:
    """A column where a training had come to a loss, by a straight line between logarithms; NaN beyond its ends.

    Args:
        way: Networks of one training with falling loss, as :func:`first_reached` leaves them.
        loss: The column that holds their loss.
        column: What is asked of them.
        wanted: The loss.
    """
    if not way[loss].min() <= wanted <= way[loss].max():
        return np.nan
    falling = way.iloc[::-1]
    logs = np.log(falling[loss]), np.log(falling[column])
    return float(np.exp(np.interp(np.log(wanted), *logs)))

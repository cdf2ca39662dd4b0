"""What a column was where a training had come to a loss: networks are compared at equal loss, not after equal time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def first_reached(way: pd.DataFrame, loss: str, columns: Sequence[str]) -> pd.DataFrame:
    """The networks of a training that had a lower loss than all before them, where loss and columns are positive.

    Args:
        way: Networks of one training, in time.
        loss: The column that holds their loss.
        columns: What is asked of them.
    """
    way = way[way[[loss, *columns]].gt(0).all(axis="columns")]
    return way[way[loss] < way[loss].cummin().shift(fill_value=np.inf)]


def value_at(way: pd.DataFrame, loss: str, column: str, wanted: float) -> float:
    """A column where a training had come to a loss, by a straight line between logarithms; NaN beyond its ends.

    Args:
        way: Networks of one training with falling loss, as :func:`first_reached` leaves them.
        loss: The column that holds their loss.
        column: What is asked of them.
        wanted: The loss.
    """
    if way.empty:
        return np.nan
    falling = way.iloc[::-1]
    logs = np.log(falling[loss]), np.log(falling[column])
    return float(np.exp(np.interp(np.log(wanted), *logs, left=np.nan, right=np.nan)))

"""The taus of every measure as a table, with their intervals and what is left of them among so many."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.special import ndtr

from flatmin.measures import measures
from flatmin.results import Tables
from flatmin.results.significance import holm
from flatmin.studies.correlation.grid import AXES, MEASURES, TRAININGS
from flatmin.studies.correlation.ranks import Pairs, bootstrapped, taus

GAPS = {"accuracy_gap": "gap in accuracy", "loss_gap": "gap in loss"}
WHICH = ("plain", "granulated", *AXES)
CONTROLS = ("parameter_norm", "path_norm", "spectral_bound", "train_loss", "epochs")
"""They do not look at how the loss changes with the weights; the last two are of the training itself."""
FLATTER = ("pac_bayes_sigma", "magnitude_aware_sigma")
"""The larger, the flatter: their sign is turned, so that a tau above 0 says of each that flat generalises."""
OF_TRAINING = {"train_loss": "Training loss at the end", "epochs": "Epochs to the target"}
LEVEL = 0.95


def reached(tables: Tables) -> pd.DataFrame:
    """The trainings that are judged, with their gaps."""
    rows = tables.frames[TRAININGS]
    rows = rows[rows["status"] == "reached"].reset_index(drop=True)
    gaps = {
        "accuracy_gap": rows["train_accuracy"] - rows["test_accuracy"],
        "loss_gap": rows["test_loss"] - rows["train_loss"],
    }
    return rows.assign(**gaps)


def predictors(tables: Tables) -> pd.DataFrame:
    """A column for each measure and setting, a row for each training that is judged; not-a-number where not finite."""
    runs, keys = reached(tables), [*AXES, "seed"]
    rows = tables.frames[MEASURES]
    sign = np.where(rows["measure"].isin(FLATTER), -1.0, 1.0)
    signed = rows.assign(value=(sign * rows["value"]).where(np.isfinite(rows["value"])))
    wide = signed.pivot(index=keys, columns=["measure", "setting"], values="value")
    wide = wide.reindex(pd.MultiIndex.from_frame(runs[keys])).reset_index(drop=True)
    for name in OF_TRAINING:
        wide[(name, "usual")] = runs[name].astype(float)
    return wide


def judged(tables: Tables) -> pd.DataFrame:
    """A row for each measure, gap and kind of tau: the tau, its interval, and its p-value adjusted by Holm.

    Intervals hold the middle 95 % of the resamples. The p-value is that of tau over its standard deviation among the
    resamples, as if normal; adjusted among the plain and granulated taus of all measures and both gaps.
    """
    runs = reached(tables)
    if len(runs) < 2 or tables.frames[MEASURES].empty:
        return pd.DataFrame(columns=[*("measure", "setting", "gap", "which", "n", "tau", "low", "high", "p", "holm")])
    wide, pairs = predictors(tables), Pairs.of(runs)
    rows = list[dict[str, Any]]()
    for gap in GAPS:
        gaps = runs[gap].to_numpy()
        agreements = np.stack([pairs.agreement(wide[name].to_numpy(dtype=float), gaps) for name in wide], axis=1)
        found = taus(pairs, agreements, np.ones((1, len(pairs.first))))[:, 0]
        again = bootstrapped(pairs, agreements, tables.experiment["resamples"])
        for (which, kind), (column, name) in product(enumerate(WHICH), enumerate(wide)):
            tau, resampled = float(found[which, column]), again[which, :, column]
            measure, setting = cast(tuple[str, str], name)
            row = {"measure": measure, "setting": setting, "gap": gap, "which": kind, "n": int(wide[name].count())}
            rows.append(row | {"tau": tau} | spread(tau, resampled[~np.isnan(resampled)]))
    frame = pd.DataFrame(rows)
    tested = frame["which"].isin(["plain", "granulated"]) & frame["p"].notna()
    frame["holm"] = math.nan
    frame.loc[tested, "holm"] = holm(frame.loc[tested, "p"].tolist())
    return frame


def spread(tau: float, resampled: np.ndarray) -> dict[str, float]:
    """The ends of the interval, and the p-value; not-a-number where there is nothing to resample."""
    deviation = float(resampled.std()) if len(resampled) else 0.0
    if math.isnan(tau) or not deviation:
        return {"low": math.nan, "high": math.nan, "p": math.nan}
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "p": 2 * float(ndtr(-abs(tau) / deviation))}


def apart(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether an interval excludes 0."""
    return (rows["low"] > 0) | (rows["high"] < 0)


def named(measure: str, setting: str) -> str:
    """What a measure is called, with its setting."""
    words = OF_TRAINING.get(measure) or measures()[measure].words
    if measure == "sharpness":
        words = "Keskar's sharpness"
    words += ", sign turned" * (measure in FLATTER)
    return words if setting == "usual" else f"{words} ({setting})"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The taus of one gap for a reader, the highest granulated one first."""
    order = rows[rows["which"] == "granulated"].sort_values("tau", ascending=False, kind="stable")
    return pd.DataFrame(_line(rows, one) for one in order.itertuples())


def _line(rows: pd.DataFrame, one: Any) -> dict[str, Any]:
    mine = rows[(rows["measure"] == one.measure) & (rows["setting"] == one.setting)].set_index("which")
    mark = " (control)" if one.measure in CONTROLS else ""
    line = {"measure": named(one.measure, one.setting) + mark, "n": str(one.n)}
    for which in ("plain", "granulated"):
        line[which] = cell(mine.loc[which])
    return line | {axis.replace("_", " "): f"{mine.loc[axis, 'tau']:.2f}" for axis in AXES}


def cell(row: "pd.Series[Any]") -> str:
    """A tau with its interval; a star where Holm leaves it."""
    if math.isnan(row["tau"]):
        return "–"
    star = "*" if row["holm"] < 1 - LEVEL else ""
    return f"{row['tau']:.2f}{star}" + ("" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]")


def tabled(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """Caption and table of each gap."""
    found = judged(tables)
    for gap, words in GAPS.items():
        if len(rows := table(found[found["gap"] == gap])):
            yield (
                f"Kendall's tau with the {words}: plain and granulated, [95 % bootstrap interval over seeds and "
                "settings], * where Holm leaves it below 5 %; then along each axis alone.",
                rows,
            )

"""What the W&B runs of an experiment are called and what is logged in them under which key."""

from typing import Any

import pandas as pd

from flatmin.results import Tables, ratios, summary
from flatmin.results.measured import keyed

STUDY = "study"
NOT_SHOWN = "curves"


def study_name(experiment: str) -> str:
    """The name of the run that holds the tables and figures of a whole experiment."""
    return f"{experiment}-{STUDY}"


def figure_key(stem: str) -> str:
    """The key of a figure with this file name without its ending."""
    return f"figures/{stem}"


def page_key(stem: str) -> str:
    """The key of an interactive page with this file name without its ending."""
    return f"interactive/{stem}"


def shown_frames(tables: Tables) -> dict[str, pd.DataFrame]:
    """The tables that the study's run holds, by key; the curves are in the runs of the networks."""
    frames = {name: frame for name, frame in tables.frames.items() if name != NOT_SHOWN and len(frame)}
    frames |= {"summary": summary(tables), "ratios": ratios(tables)}
    return {f"tables/{name}": frame for name, frame in frames.items()}


def keyed_means(tables: Tables) -> pd.DataFrame:
    """The means over seeds with a further column `key`, under which W&B knows them.

    The keys are such as ``small_batch/test_accuracy`` and ``large_batch/sharpness/full/0.001/strong/batch``.
    """
    frame = summary(tables)
    return frame.assign(key=[mean_key(row) for row in frame.to_dict("records")])


def mean_key(row: dict[Any, Any]) -> str:
    """The key of one row of the summary."""
    parts = [row["regime"], row["quantity"]]
    if row["quantity"] == "sharpness":
        parts += [row["space"], f"{row['epsilon']:g}", row["method"], row["batch_norm"]]
    return "/".join(map(str, parts))


def shown_numbers(tables: Tables) -> dict[str, float]:
    """The means over seeds, flat."""
    frame = keyed_means(tables)
    return {key: float(mean) for key, mean in zip(frame["key"], frame["mean"], strict=True)} | dict(keyed(tables))

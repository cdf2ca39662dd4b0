r"""When a large batch pays: the model of appendix C of Keskar et al. (2017), and what our curves put into it.

A small batch needs :math:`I_s` iterations of :math:`B_s` examples and uses the processors with efficiency
:math:`f_s`, a large batch needs :math:`I_l` of :math:`B_l` and uses them fully. The large batch is faster if

.. math:: \frac{I_l}{I_s} < \frac{B_s}{f_s B_l}.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from flatmin.report.eligible import disorder
from flatmin.report.published import LARGE, SMALL
from flatmin.report.sheet import Sheet
from flatmin.report.studies import StudyResults
from flatmin.report.values import curve
from flatmin.results.words import counted, significant

TARGETS = (80.0, 90.0, 95.0, 98.0, 99.0)


def large_batch_pays(
    iterations_small: float, iterations_large: float, batch_small: float, batch_large: float, efficiency_small: float
) -> bool:
    """Whether the large batch reaches the goal sooner.

    Args:
        iterations_small: Iterations that the small batch needs.
        iterations_large: Iterations that the large batch needs.
        batch_small: Examples in a small batch.
        batch_large: Examples in a large batch.
        efficiency_small: Parallel efficiency of the small batch, above 0 and at most 1; the large batch's is 1.

    Raises:
        ValueError: If a number is not positive, or the efficiency above 1.

    Example:
        The paper's: small batches a tenth as large, at 20 % efficiency, lose if the ratio of iterations is below 1/2.

        >>> [large_batch_pays(1000, iterations, 512, 5120, 0.2) for iterations in (499, 500)]
        [True, False]
    """
    numbers = {
        **{"iterations_small": iterations_small, "iterations_large": iterations_large},
        **{"batch_small": batch_small, "batch_large": batch_large, "efficiency_small": efficiency_small},
    }
    for name, value in numbers.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    if efficiency_small > 1:
        raise ValueError(f"`efficiency_small` must be at most 1, got {efficiency_small}.")
    return iterations_large / iterations_small < batch_small / (efficiency_small * batch_large)


def break_even(study: StudyResults) -> pd.DataFrame:
    """What each regime needed to reach training accuracies, and when the large batch pays.

    Args:
        study: A study with both regimes; its training accuracies are those after each epoch with batch statistics.

    Returns:
        One row per accuracy that any seed reaches: `target` in per cent, how many seeds of either regime reach it
        (`reached_small`, `reached_large`) and of how many (`seeds_small`, `seeds_large`). Where all of a regime do,
        mean over seeds of its `epochs` and `iterations`; where all of both do, the `ratio` of iterations, large over
        small, and the `efficiency` of the small batch below which the large one pays. These are NaN elsewhere, since
        the seeds that make it are the fast ones. Without both regimes, curves, or the number of examples in the
        provenance, no rows.
    """
    examples = study.training_examples
    sizes = batches(study)
    rows = []
    for target in TARGETS if examples and len(sizes) == 2 and not disorder(study) else ():
        first = {regime: first_epochs(study, regime, target) for regime in sizes}
        if not all(map(len, first.values())) or not any(found.notna().any() for found in first.values()):
            continue
        epochs = {regime: float(found.mean(skipna=False)) for regime, found in first.items()}
        steps = {regime: epochs[regime] * math.ceil(examples / sizes[regime]) for regime in sizes}
        everywhere = not any(math.isnan(value) for value in epochs.values())
        ratio = steps[LARGE] / steps[SMALL] if everywhere else math.nan
        rows.append(
            {
                **{"target": target, "epochs_small": epochs[SMALL], "epochs_large": epochs[LARGE]},
                **{"iterations_small": steps[SMALL], "iterations_large": steps[LARGE], "ratio": ratio},
                "efficiency": sizes[SMALL] / (sizes[LARGE] * ratio),
                **{f"reached_{name}": int(first[regime].notna().sum()) for regime, name in SIDES.items()},
                **{f"seeds_{name}": len(first[regime]) for regime, name in SIDES.items()},
            }
        )
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def batches(study: StudyResults) -> dict[str, float]:
    """The batch size of each regime of the pair."""
    minima = study.tables.minima
    sizes = {regime: minima.loc[minima["regime"] == regime, "batch_size"] for regime in SIDES}
    return {regime: float(found.iloc[0]) for regime, found in sizes.items() if len(found)}


SIDES = {SMALL: "small", LARGE: "large"}
COST_COLUMNS = [
    *("target", "epochs_small", "epochs_large", "iterations_small", "iterations_large", "ratio", "efficiency"),
    *("reached_small", "seeds_small", "reached_large", "seeds_large"),
]


def first_epochs(study: StudyResults, regime: str, target: float) -> "pd.Series[float]":
    """The first epoch after which the training accuracy is at least a target, by seed; NaN where it never is."""
    reached = curve(study, regime, "train", "accuracy") >= target / 100
    return pd.Series(
        {seed: reached[seed].idxmax() if reached[seed].any() else math.nan for seed in reached}, dtype=float
    )


def break_even_table(studies: Sequence[StudyResults]) -> pd.DataFrame:
    """The rows of all studies."""
    parts = [break_even(study).assign(network=study.network, study=study.name, label=study.label) for study in studies]
    names = ["network", "study", "label", *COST_COLUMNS]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def break_even_sheet(frame: pd.DataFrame) -> Sheet:
    """The table of appendix C."""
    lines: list[list[str]] = []
    for label, rows in frame.groupby("label", sort=False):
        lines.append([str(label), *[""] * (len(HEADINGS) - 1)])
        lines += [cells(row) for row in rows.to_dict("records")]
    columns = pd.MultiIndex.from_tuples(HEADINGS)
    caption = (
        "Epochs and iterations to a training accuracy with batch statistics, mean over seeds, and the parallel "
        "efficiency of the small batch below which the large batch is faster, by the model of appendix C of the paper. "
        "An accuracy counts only where all seeds of both regimes reach it; elsewhere it says how many do."
    )
    return Sheet("break_even", caption, pd.DataFrame(lines, columns=columns), sides="lrrrrrr")


def cells(row: Mapping[Hashable, Any]) -> list[str]:
    """A line of the table: how many seeds reach the accuracy, unless all of both regimes do."""
    first = f"  {row['target']:g} %"
    if math.isnan(row["ratio"]):
        shares = [
            f"{row[f'reached_{name}']:.0f} of {counted(int(row[f'seeds_{name}']), 'seed')}" for name in SIDES.values()
        ]
        return [first, *shares, *["–"] * 4]
    counts = [f"{row[name]:,.0f}" for name in COST_COLUMNS[1:5]]
    return [first, *counts, significant(row["ratio"]), significant(row["efficiency"])]


HEADINGS = [
    *(("", "accuracy"), ("epochs", "small"), ("epochs", "large"), ("iterations", "small"), ("iterations", "large")),
    *(("large batch", "ratio"), ("large batch", "pays below")),
]

r"""When a large batch pays: the model of appendix C of Keskar et al. (2017), and what our curves put into it.

A small batch needs :math:`I_s` iterations of :math:`B_s` examples and uses the processors with efficiency
:math:`f_s`, a large batch needs :math:`I_l` of :math:`B_l` and uses them fully. The large batch is faster if

.. math:: \frac{I_l}{I_s} < \frac{B_s}{f_s B_l}.
"""

import math
from collections.abc import Sequence

import pandas as pd

from flatmin.figures.captions import significant
from flatmin.report.published import LARGE, SMALL
from flatmin.report.sheet import Sheet
from flatmin.report.studies import Study
from flatmin.report.values import curve, minimum

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


def break_even(study: Study) -> pd.DataFrame:
    """What each regime needed to reach training accuracies, and when the large batch pays.

    Args:
        study: A study with both regimes; its training accuracies are those after each epoch.

    Returns:
        One row per accuracy that both regimes reach at some seed: `target` in per cent, mean over seeds of the `epochs`
        and `iterations` of either, the `ratio` of iterations, large over small, and the `efficiency` of the small batch
        below which the large one pays. Without curves, or the number of examples in the provenance, no rows.
    """
    examples = study.tables.provenance.get("examples", {}).get("curves")
    rows = []
    for target in TARGETS:
        epochs = {regime: first_epochs(study, regime, target).mean() for regime in (SMALL, LARGE)}
        if not examples or any(math.isnan(value) for value in epochs.values()):
            continue
        sizes = {regime: float(minimum(study, regime, "batch_size").iloc[0]) for regime in epochs}
        steps = {regime: epochs[regime] * math.ceil(examples / sizes[regime]) for regime in epochs}
        ratio = steps[LARGE] / steps[SMALL]
        rows.append(
            {
                **{"target": target, "epochs_small": epochs[SMALL], "epochs_large": epochs[LARGE]},
                **{"iterations_small": steps[SMALL], "iterations_large": steps[LARGE], "ratio": ratio},
                "efficiency": sizes[SMALL] / (sizes[LARGE] * ratio),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("target", "epochs_small", "epochs_large", "iterations_small", "iterations_large", "ratio", "efficiency"),
]


def first_epochs(study: Study, regime: str, target: float) -> "pd.Series[float]":
    """The first epoch after which the training accuracy is at least a target, by seed; NaN where it never is."""
    reached = curve(study, regime, "train", "accuracy") >= target / 100
    return pd.Series(
        {seed: reached[seed].idxmax() if reached[seed].any() else math.nan for seed in reached}, dtype=float
    )


def break_even_table(studies: Sequence[Study]) -> pd.DataFrame:
    """The rows of all studies."""
    parts = [break_even(study).assign(network=study.network, study=study.name, label=study.label) for study in studies]
    names = ["network", "study", "label", *COLUMNS]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def break_even_sheet(frame: pd.DataFrame) -> Sheet:
    """The table of appendix C."""
    lines: list[list[str]] = []
    for label, rows in frame.groupby("label", sort=False):
        lines.append([str(label), *[""] * (len(HEADINGS) - 1)])
        for target, *counts, ratio, efficiency in rows[COLUMNS].to_numpy(dtype=float).tolist():
            cells = [*(f"{count:,.0f}" for count in counts), significant(ratio), significant(efficiency)]
            lines.append([f"  {target:g} %", *cells])
    columns = pd.MultiIndex.from_tuples(HEADINGS)
    caption = (
        "Epochs and iterations to a training accuracy, mean over seeds, and the parallel efficiency of the small batch "
        "below which the large batch is faster, by the model of appendix C of the paper."
    )
    return Sheet("break_even", caption, pd.DataFrame(lines, columns=columns), sides="lrrrrrr")


HEADINGS = [
    *(("", "accuracy"), ("epochs", "small"), ("epochs", "large"), ("iterations", "small"), ("iterations", "large")),
    *(("large batch", "ratio"), ("large batch", "pays below")),
]

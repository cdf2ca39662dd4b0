"""Measures against the amount of a symmetry: a line for each, flat where it is invariant."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from flatmin.objective.copying import copied, uncompiled, unwrapped
from flatmin.objective.objective import Objective
from flatmin.symmetries.symmetry import Symmetry
from flatmin.symmetries.transform import transformed

if TYPE_CHECKING:
    import pandas as pd

AMOUNTS = tuple(10.0 ** (power / 2) for power in range(-4, 5))


def over_amounts(
    model: nn.Module,
    loss: Callable[..., Any],
    batches: Iterable[Any],
    measures: Mapping[str, Callable[[Objective], Any]],
    *,
    amounts: Sequence[float] = AMOUNTS,
    symmetry: str | Symmetry = "layer_rescaling",
    seed: int = 0,
    **options: Any,
) -> "pd.DataFrame":
    """Take measures of networks of the same function, in float64.

    ``flatmin.figures.rescaled`` draws what it returns.

    Args:
        model: Any module; it is never touched.
        loss: As that of :class:`~flatmin.objective.objective.Objective`.
        batches: Its batches.
        measures: Functions of an objective that give a number, or a result that ``float()`` takes, by the name that a
            reader sees.
        amounts: Of the symmetry; 1 is the network itself where it is a rescaling.
        symmetry: As that of :func:`~flatmin.symmetries.transformed`.
        seed: Of what is drawn.
        options: Further arguments of the objective, such as ``batch_norm``.

    Returns:
        ``symmetry``, ``amount``, ``measure``, ``value``, ``standard_error`` (NaN where there is none), ``loss`` and
        ``outputs``, the largest difference of the outputs as a share of the largest; a row for each number.

    Raises:
        TypeError: As :func:`~flatmin.symmetries.transformed`.
        ValueError: If there is no measure, or as :func:`~flatmin.symmetries.transformed`.
        RuntimeError: If the network would be another function.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> batch = (torch.ones(4, 2), torch.zeros(4, 1))
        >>> length = {"squared length": lambda objective: objective.theta.square().sum()}
        >>> found = over_amounts(model, torch.nn.functional.mse_loss, [batch], length, amounts=[0.1, 1.0, 10.0])
        >>> [*found["amount"]], found["loss"].nunique() <= 2, found["value"].nunique()
        ([0.1, 1.0, 10.0], True, 3)
    """
    import pandas as pd

    if not measures:
        raise ValueError("`measures` must hold at least one function of an objective, got none.")
    rows, held = list[dict[str, Any]](), list(batches)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    precise = uncompiled(copied(unwrapped(model), device=device, dtype=torch.float64)[0])
    for amount in amounts:
        found = transformed(precise, held, symmetry=symmetry, amount=amount, seed=seed)
        objective = Objective(found.model, loss, found.batches, **options)
        facts = {"symmetry": found.symmetry, "amount": found.amount}
        also = {"loss": float(objective.value()), "outputs": found.difference}
        for name, measure in measures.items():
            value = measure(objective)
            error = float(getattr(value, "standard_error", float("nan")))
            rows.append({**facts, "measure": name, "value": float(value), "standard_error": error, **also})
    return pd.DataFrame(rows)

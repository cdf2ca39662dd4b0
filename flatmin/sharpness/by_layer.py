"""A measure for each layer by itself: that layer moves, all others stay."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flatmin.core.checks import an_objective
from flatmin.core.progress import steps_shown
from flatmin.core.result import Result
from flatmin.sharpness.epsilon_sharpness import epsilon_sharpness

if TYPE_CHECKING:
    import pandas as pd


def by_layer(
    objective: Any, measure: Callable[..., Any] = epsilon_sharpness, *, progress: bool = False, **options: Any
) -> "pd.DataFrame":
    r"""A measure of each layer: the loss as a function of its parameters alone, the others where they stand.

    A layer is what holds parameters of its own (``0``, ``encoder.attention``). Sharpness by layer does not add up to
    that of the network, whose layers move together.

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective`, or whatever has its ``shapes`` and
            ``restricted``.
        measure: From an objective to a number or a result.
        progress: Show a bar in the terminal.
        options: Of the measure, such as ``epsilon``.

    Returns:
        A row a layer, in the order of the network: ``layer``, ``weights`` (how many) and the numbers of the result, or
        ``value``.

    Raises:
        TypeError: If ``objective`` is none or its parameters have no names.

    Example:
        >>> import torch
        >>> from flatmin import Objective
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        >>> objective = Objective(model, torch.nn.functional.mse_loss, [(torch.ones(4, 2), torch.ones(4, 1))])
        >>> by_layer(objective, epsilon=1e-2)[["layer", "weights"]].values.tolist()
        [['0', 9], ['1', 4]]
    """
    import pandas as pd

    if not hasattr(an_objective(objective), "restricted"):
        raise TypeError(
            f"`objective` must have layers, got {type(objective).__name__}; make an Objective of a network."
        )
    layers = dict.fromkeys(name.rpartition(".")[0] for name in objective.shapes)
    rows = []
    with steps_shown("layers", len(layers), shown=progress) as advance:
        for layer in layers:
            names = [name for name in objective.shapes if name.rpartition(".")[0] == layer]
            part = objective.restricted(names)
            found = measure(part, **options)
            numbers = found.to_frame().iloc[0].to_dict() if isinstance(found, Result) else {"value": float(found)}
            rows.append({"layer": layer or "network", "weights": part.size} | numbers)
            advance()
    return pd.DataFrame(rows)

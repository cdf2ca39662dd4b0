"""What a training offers to a measure, by the names of the measure's arguments."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytorch_lightning as pl

from flatmin.objective.optimized import single_rate


def offered(trainer: pl.Trainer, module: pl.LightningModule, last: Any = None) -> dict[str, Any]:
    """The optimiser, if there is one, the module, and where a measure's last result says that the next may start."""
    found: dict[str, Any] = {"model": module}
    if trainer.optimizers and trainer.optimizers[0].param_groups:  # Lightning has a stand-in where there is none
        found["optimizer"] = trainer.optimizers[0]
    if (start := getattr(last, "warm_start", None)) is not None:
        found["start"] = start
    return found


def accepted(measure: Callable[..., Any], offer: Mapping[str, Any]) -> dict[str, Any]:
    """What a measure takes of an offer: arguments of these names that nobody has given it yet.

    Example:
        >>> accepted(lambda objective, optimizer: 0.0, {"optimizer": "Adam", "start": 1.0})
        {'optimizer': 'Adam'}
    """
    return {name: offer[name] for name in _open(measure) if name in offer}


def check_offer(name: str, measure: Callable[..., Any], offer: Mapping[str, Any]) -> None:
    """Say before the training what would stop it after an epoch.

    Raises:
        ValueError: If the measure needs an optimiser and there is none, or a single learning rate and there are more.
    """
    free = _open(measure)
    if "optimizer" not in free:
        return
    if "optimizer" not in offer:
        if free["optimizer"].default is inspect.Parameter.empty:
            raise ValueError(f"measure {name!r} needs an optimizer, and the Trainer has none.")
    elif "learning_rate" in free:
        single_rate(offer["optimizer"])


def _open(measure: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments that are still to be given."""
    given = set[str]()
    while isinstance(measure, partial):
        given |= measure.keywords.keys()
        measure = measure.func
    try:
        parameters = inspect.signature(measure).parameters
    except (TypeError, ValueError):  # what is written in C may have no signature
        return {}
    return {name: parameter for name, parameter in parameters.items() if name not in given}

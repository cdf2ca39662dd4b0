"""Sharpness along anybody's training."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from flatmin.callbacks.loaded import first_batches
from flatmin.callbacks.offered import accepted, check_offer, offered
from flatmin.core.checks import one_of, reiterable, whole
from flatmin.core.random_states import undisturbed
from flatmin.measures.readings import measure_named, readings
from flatmin.objective.batch_norm import MODES
from flatmin.objective.objective import Objective

Taken = str | Callable[..., Any]
OWN = ("loss", "criterion", "loss_fn")
"""Where a module is looked up for its loss."""


class SharpnessCallback(pl.Callback):
    """Logs measures of the module after every so many epochs of training, without leaving a trace in it.

    The training with it gives bit for bit the weights of the training without: a copy of the module is measured, in
    evaluation mode, and the states of Python's, NumPy's and torch's generators are put back. The numbers go to
    whatever loggers the Trainer has, and to ``trainer.callback_metrics`` (a ``ModelCheckpoint`` may monitor them):
    each by the name of its measure, beside it ``NAME_converged``, ``NAME_standard_error`` and ``NAME_threshold`` where
    there are such. They are NaN from when the loss is no longer finite.

    A measure gets what of the training it takes by name: ``optimizer``, the Trainer's first one, ``model``, the module,
    and ``start``, where its last result says the next search may begin (``warm_start``). So ``"critical_sharpness"`` is
    that along the step that the optimiser would take, ``"preconditioned_sharpness"`` has what the optimiser stands
    beside it, and ``"top_eigenvalue"`` starts each time from the last eigenvectors.

    What it costs: ``epsilon_sharpness`` is a search that takes some 40 to 250 evaluations of the loss and its gradient
    on all ``batches``, each time (about 75 in the middle of the results in ``paper/data``); ``average_case_sharpness``
    takes 41 of the loss alone. Where that is more than the training itself, take fewer ``examples`` or a larger
    ``every``.

    Args:
        measures: Names (``"epsilon_sharpness"``, ``"average_case_sharpness"``, the three above, or a
            declared measure such as ``"average_case"``) or functions of an objective that return a number, a result
            that ``float()`` takes, or a mapping of names to such; a mapping gives the functions names of its own, as
            in ``{"sharp": partial(epsilon_sharpness, epsilon=5e-4)}``.
        every: Epochs from one measurement to the next.
        batches: Re-iterable ``(inputs, targets)`` pairs. ``None`` takes the first ``examples`` of the Trainer's train
            loader when training starts, in its batch size: of a data set by index the first ones in its own order,
            else those that the loader gives first.
        examples: See ``batches``.
        loss: Mean loss of a batch, ``loss(outputs, targets)``; ``None`` takes the module's own ``loss``, ``criterion``
            or ``loss_fn``.
        step: In place of a loss: ``step(module, batch)`` gives the mean loss of a batch, for whoever has the loss
            inside; batches are then of any form.
        batch_norm: The reading of BatchNorm, see :class:`flatmin.Objective`.

    Raises:
        TypeError: If a measure is neither a name nor a function, or an argument is of another kind.
        ValueError: If there is no such measure, two have one name, or a value is out of range.

    Example:
        >>> callback = SharpnessCallback(["epsilon_sharpness"], every=5)
        >>> pl.Trainer(callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        measures: Sequence[Taken] | Mapping[str, Taken] = ("epsilon_sharpness",),
        *,
        every: int = 1,
        batches: Iterable[Any] | None = None,
        examples: int = 1000,
        loss: Callable[[Any, Any], Tensor] | None = None,
        step: Callable[[Any, Any], Tensor] | None = None,
        batch_norm: str = "running",
    ) -> None:
        self.measures = named(measures)
        self.every = whole("every", every, minimum=1)
        self.examples = whole("examples", examples, minimum=1)
        self.batches = None if batches is None else reiterable("batches", batches)
        if loss is not None and step is not None:
            raise ValueError("`loss` and `step` must not both be given: the step has the loss inside.")
        for name, value in (("loss", loss), ("step", step)):
            if value is not None and not callable(value):
                raise TypeError(f"`{name}` must be callable, got {type(value).__name__}.")
        self.loss, self.step = loss, step
        self.batch_norm = one_of("batch_norm", batch_norm, MODES)
        self._taken = self.batches
        self._logged: Iterable[str] = self.measures
        self._last: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the batches, and try the objective: what does not fit is said now, not after an epoch."""
        with undisturbed(), torch.inference_mode(False):
            if self.batches is None:
                self._taken = first_batches(trainer, self.examples)
            self.objective(pl_module).value()
        self._last.clear()
        for name, measure in self.measures.items():
            check_offer(name, measure, offered(trainer, pl_module))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log, if it is time."""
        if (trainer.current_epoch + 1) % self.every == 0:
            pl_module.log_dict(self.numbers(trainer, pl_module), on_step=False, on_epoch=True, batch_size=1)

    def numbers(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, float]:
        """All measures of a module as it stands."""
        found: dict[str, float] = {}
        with undisturbed(), torch.inference_mode(False), torch.enable_grad():
            objective = self.objective(module)
            if not math.isfinite(objective.value()):
                return dict.fromkeys(self._logged, math.nan)
            for name, measure in self.measures.items():
                offer = offered(trainer, module, self._last.get(name))
                self._last[name] = measure(objective, **accepted(measure, offer))
                for reading in readings(name, self._last[name]):
                    found |= reading.numbers()
        self._logged = found.keys()
        return found

    def objective(self, module: pl.LightningModule) -> Objective:
        """The loss of a copy of the module on the batches.

        Raises:
            ValueError: If no loss is given and the module has none.
        """
        assert self._taken is not None
        if self.step is not None:
            return Objective.of(module, self.step, self._taken, batch_norm=self.batch_norm)
        return Objective(module, self.loss or own_loss(module), self._taken, batch_norm=self.batch_norm)


def named(measures: Sequence[Taken] | Mapping[str, Taken]) -> dict[str, Callable[..., Any]]:
    """Functions of an objective by the names that they are logged by.

    Raises:
        TypeError: If one is neither a name nor a function.
        ValueError: If there is none, or two have one name.
    """
    if isinstance(measures, str):
        raise TypeError(f"`measures` must be a list of names or functions, got a str; pass [{measures!r}].")
    found: dict[str, Callable[..., Any]] = {}
    pairs = measures.items() if isinstance(measures, Mapping) else ((None, taken) for taken in measures)
    for name, taken in pairs:
        if not (isinstance(taken, str) or callable(taken)):
            raise TypeError(f"`measures` must hold names or functions of an objective, got {type(taken).__name__}.")
        name = name or (taken if isinstance(taken, str) else name_of(taken))
        if name in found:
            raise ValueError(f"`measures` must have a name for each, got {name!r} twice; pass a mapping of names.")
        found[name] = measure_named(taken, training=True) if isinstance(taken, str) else taken
    if not found:
        raise ValueError("`measures` must hold at least one measure, got none.")
    return found


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called, that of a partial one too."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def own_loss(module: pl.LightningModule) -> Callable[[Any, Any], Tensor]:
    """The loss that a module has.

    Raises:
        ValueError: If it has none.
    """
    for name in OWN:
        loss = getattr(module, name, None)
        if callable(loss):
            return loss  # type: ignore[no-any-return]
    raise ValueError(
        f"SharpnessCallback needs a loss, and {type(module).__name__} has no {', '.join(OWN[:-1])} or {OWN[-1]} of its "
        "own; pass loss=, called as loss(outputs, targets), or step=, called as step(module, batch)."
    )

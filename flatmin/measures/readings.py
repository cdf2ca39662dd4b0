"""Measures taken of any objective by name: what a callback and the command line ask for.

A name is that of a public function (``epsilon_sharpness``, ``average_case_sharpness``) or of a declared measure that is
summarised by rule (``average_case``), which is then taken with its usual settings in the objective's own reading of
BatchNorm.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from numbers import Real
from typing import TYPE_CHECKING, Any

from flatmin.measures.measure import Asked, Measure, Row, Specimen

if TYPE_CHECKING:
    from flatmin.objective.objective import Objective

FUNCTIONS = {
    "epsilon_sharpness": "flatmin.sharpness.epsilon_sharpness:epsilon_sharpness",
    "average_case_sharpness": "flatmin.sharpness.average_case:average_case_sharpness",
}
"""Public functions of an objective, and where they are."""
IN_TRAINING = {
    "critical_sharpness": "flatmin.sharpness.critical:critical_sharpness",
    "gradient_noise_scale": "flatmin.sharpness.gradient_noise:gradient_noise_scale",
    "preconditioned_sharpness": "flatmin.sharpness.effective:preconditioned_sharpness",
    "top_eigenvalue": "flatmin.curvature.eigenvalues:top_eigenvalues",
}
"""Those of use along a training, which may take what only that has: its optimiser, its model, where the last ended."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One number of a measure, with what it says of itself; ``None`` where it does not.

    Attributes:
        name: Of the measure, with what tells the number from the measure's others.
        value: The number.
        converged: Whether a search ended by itself.
        standard_error: Of the number.
        evaluations: Losses computed.
        threshold: What the number is to be seen against.
    """

    name: str
    value: float
    converged: bool | None = None
    standard_error: float | None = None
    evaluations: int | None = None
    threshold: float | None = None

    def numbers(self) -> dict[str, float]:
        """What a logger takes: the value by the name, and ``NAME_converged``, ``_standard_error`` and ``_threshold``.

        Example:
            >>> Reading(name="sharp", value=2.5, converged=True).numbers()
            {'sharp': 2.5, 'sharp_converged': 1.0}
        """
        found = {self.name: self.value}
        for name in ("converged", "standard_error", "threshold"):
            if (value := getattr(self, name)) is not None:
                found[f"{self.name}_{name}"] = float(value)
        return found


def names() -> tuple[str, ...]:
    """Every name that :func:`measure_named` knows.

    Example:
        >>> names()[:2]
        ('epsilon_sharpness', 'average_case_sharpness')
    """
    return (*FUNCTIONS, *_declared())


def measure_named(name: str, *, training: bool = False) -> "Callable[..., Any]":
    """A measure as a function of an objective; a public function takes its settings beside it.

    Args:
        name: Of the measure.
        training: Whether there is a training, whose optimiser it can have.

    Raises:
        ValueError: If there is none.
    """
    functions = IN_TRAINING | FUNCTIONS if training else FUNCTIONS
    if name in functions:
        module, function = functions[name].split(":")
        return getattr(import_module(module), function)  # type: ignore[no-any-return]
    if name not in (known := _declared()):
        every = dict.fromkeys([*names(), *functions])
        raise ValueError(f"there is no measure {name!r}; the known ones are {', '.join(every)}.")
    measure = known[name]
    return lambda objective: dict(_usual(measure, objective))


def of_few_examples(name: str) -> str:
    """What few examples do to a measure, for a caution; empty where they make it uncertain and no more.

    Example:
        >>> of_few_examples("epsilon_sharpness"), of_few_examples("average_case")
        ('biased upwards: the worst point is theirs', '')
    """
    from flatmin.measures import measures

    measure = measures().get("sharpness" if name == "epsilon_sharpness" else name)
    return measure.few if measure else ""


def readings(name: str, found: Any) -> list[Reading]:
    """What a measure returned, as numbers.

    Args:
        name: Of the measure.
        found: A number, a result that ``float()`` takes, or a mapping of names to such.

    Raises:
        TypeError: If it is anything else.
    """
    if isinstance(found, Mapping):
        return [reading for key, value in found.items() for reading in readings(f"{name}_{key}", value)]
    if isinstance(found, Reading):
        return [found]
    try:
        value = found.__float__()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"measure {name!r} must return a number, a result that float() takes, or a mapping of names to such, got "
            f"{type(found).__name__}."
        ) from None
    known = {key: getattr(found, key, None) for key in ("converged", "standard_error", "evaluations", "threshold")}
    said: dict[str, Any] = {key: value for key, value in known.items() if isinstance(value, Real)}
    return [Reading(name=name, value=value, **said)]


def _declared() -> dict[str, Measure[Any]]:
    from flatmin.measures import measures

    return {name: measure for name, measure in measures().items() if measure.by_rule}


def passes(name: str, objective: "Objective") -> float:
    """What a declared measure costs with its usual settings, in passes over the examples.

    Example:
        >>> import torch
        >>> from flatmin import Objective
        >>> batch = (torch.ones(4, 2), torch.zeros(4, 1))
        >>> passes("average_case", Objective(torch.nn.Linear(2, 1), torch.nn.functional.mse_loss, [batch]))
        80.0
    """
    return sum(asked.passes for asked in _asked(_declared()[name], objective))


def _asked(measure: Measure[Any], objective: "Objective") -> list[Asked]:
    """What is asked of an objective's own examples, in its own reading of BatchNorm."""
    sizes = _sizes(objective)
    settings = measure.settings(batch_norm=(objective.batch_norm,), batch_size=sizes[0])
    return list(measure.plan(settings, sum(sizes), sum(sizes)))


def _sizes(objective: "Objective") -> list[int]:
    from flatmin.core.first_examples import count

    return [count((targets, inputs)) for inputs, targets in objective.batches]


def _usual(measure: Measure[Any], objective: "Objective") -> Iterator[tuple[str, Reading]]:
    """Each row of a declared measure by what tells it from the others."""

    def absent(*_: Any) -> Any:
        raise ValueError(f"measure {measure.name!r} needs examples that it was not taken on; take it in an experiment.")

    population = sum(_sizes(objective))
    subject = Specimen(objective=objective, following=absent, test=absent, population=population, each=None)
    for asked in _asked(measure, objective):
        for row in measure.run(subject, asked, lambda share: None):
            row = {**asked.facts, **row}
            if not measure.is_summarised(row):
                continue
            key = "_".join(part for name in measure.by if name in row for part in _told(name, row[name]))
            yield key, _of_row(measure, "_".join(filter(None, (measure.name, key))), row)


def _told(name: str, value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else (name, f"{value:g}")


def _of_row(measure: Measure[Any], name: str, row: Row) -> Reading:
    known = {key: row[key] for key in ("converged", "standard_error", "evaluations") if key in row}
    return Reading(name=name, value=float(row.get(measure.value, math.nan)), **known)

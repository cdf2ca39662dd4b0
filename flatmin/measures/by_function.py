"""A measure that is a public function of an objective: its declaration follows from the function's settings."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import product
from typing import Any

from flatmin.core.errors import FlatminError
from flatmin.measures.measure import AlongTraining, Asked, Measure, MeasureSettings, Row, Specimen


def by_function(
    where: str,
    *,
    settings: type[MeasureSettings],
    several: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    made: str | None = None,
    passes: Callable[[Any], float],
    columns: tuple[str, ...],
    name: str | None = None,
    row: Callable[[Any], Row] = lambda found: found.to_record(),
    rows: Callable[[Any], list[Row]] | None = None,
    **declared: Any,
) -> Measure[Any]:
    """Declare a measure by the function that takes it.

    What the settings have beyond those of every measure are the function's arguments; a record holds a row, or what
    ``rows`` makes of a result, for each combination of those of which there may be several.

    Args:
        where: ``module:function``; ``function(objective, **arguments)`` gives a result.
        settings: What can be asked.
        several: The settings that hold several values, each with the argument it stands for: ``{"sigmas": "sigma"}``.
        fixed: Arguments that make the measure what it is, and that nobody is asked for: ``{"adaptive": True}``.
        made: A method that gives the objective of which it is taken, from the one on the examples asked for.
        passes: Work of one call, in passes over the examples, from the settings.
        columns: What the table holds of a result.
        name: Of the measure and of its table; that of the function unless it is given.
        row: The numbers of a result, by the names of their columns.
        rows: The same of a result that stands for several rows.
        declared: What else there is to know of it, see `Measure`.

    Returns:
        The declaration.
    """
    module, function = where.split(":")
    name = name or function
    grid, always = dict(several or {}), dict(fixed or {})
    usual = {*AlongTraining.model_fields}
    own = [field for field in settings.model_fields if field not in usual]
    single = [field for field in own if field not in grid]

    def plan(settings: Any, available: int, examples: int) -> Iterator[Asked]:
        for batch_norm in settings.batch_norm:
            combinations = [dict(zip(grid.values(), values, strict=True)) for values in product(*_values(settings))]
            yield Asked(
                label=f"{name}-{batch_norm}",
                batch_norm=batch_norm,
                examples=examples,
                batch_size=min(settings.batch_size, examples),
                passes=float(passes(settings)) * len(combinations),
                setup={"each": combinations, "all": always | {field: getattr(settings, field) for field in single}},
            )

    def _values(settings: Any) -> list[list[Any]]:
        return [sorted(getattr(settings, field)) for field in grid]

    def run(subject: Specimen, asked: Asked, advance: Callable[[float], None]) -> list[Row]:
        taken = getattr(import_module(module), function)
        found, each = list[Row](), asked.setup["each"]
        try:
            objective = getattr(subject.objective, made)() if made else subject.objective
            for arguments in each:
                result = taken(objective, **arguments, **asked.setup["all"])
                records = rows(result) if rows else [row(result)]
                found += [{column: (record | arguments)[column] for column in columns} for record in records]
                advance(1 / len(each))
        except ValueError as error:
            raise FlatminError(f"measure {name}: {error}") from error
        return found

    declared.setdefault("by", tuple(grid.values()))
    declared.setdefault("value", "value")
    return Measure(name=name, settings=settings, columns=columns, plan=plan, run=run, **declared)

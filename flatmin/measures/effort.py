"""What the sharpness found depends on the search, as a measure of an experiment.

Its table has the highest sharpness that a climber had found after so many evaluations.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchNormReading, Count, Length, Several
from flatmin.measures.measure import Asked, Measure, MeasureSettings, Row, Specimen


class EffortSettings(MeasureSettings):
    """What the sharpness found depends on the search: its value against the evaluations spent.

    Attributes:
        epsilons: Half-widths of the box.
        climbers: ``lbfgsb`` (the published one), ``corner_steps`` (conditional gradient) and ``projected_gradient``.
        starts: ``centre`` (the published one), ``sign`` (halfway to where the gradient points), ``random``.
        batch_norm: Statistics that BatchNorm uses.
        evaluations: Budget of one search.
        seeds: Seeds whose networks are searched; ``null`` takes the experiment's first.
        examples: Measure on the first so many training examples; ``null`` uses all.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    epsilons: Several[Length] = (1e-3,)
    climbers: Several[Literal["lbfgsb", "corner_steps", "projected_gradient"]] = (
        "lbfgsb",
        "corner_steps",
        "projected_gradient",
    )
    starts: Several[Literal["centre", "sign", "random"]] = ("centre", "sign", "random")
    batch_norm: Several[BatchNormReading] = ("batch", "running")
    evaluations: Annotated[Count, Field(le=1_000_000)] = 200


def plan(settings: EffortSettings, available: int, examples: int) -> Iterator[Asked]:
    """All climbers from all starts, for each epsilon and BatchNorm reading."""
    from flatmin.sharpness import METHODS

    for epsilon, batch_norm in product(settings.epsilons, settings.batch_norm):
        yield Asked(
            label=f"effort-{batch_norm}-{epsilon:g}",
            batch_norm=batch_norm,
            examples=examples,
            batch_size=min(settings.batch_size, examples),
            passes=3.0 * settings.evaluations * len(settings.climbers) * len(settings.starts),
            setup={
                "epsilon": epsilon,
                "climbers": sorted(settings.climbers),
                "starts": sorted(settings.starts),
                "searches": METHODS,
                "evaluations": settings.evaluations,
            },
            facts={"space": "full", "epsilon": epsilon},
        )


def run(subject: Specimen, asked: Asked, advance: Callable[[float], None]) -> list[Row]:
    """Climb, and leave one row for each evaluation that found a higher loss."""
    from flatmin.sharpness import effort

    rows, of = list[Row](), asked.setup
    ways = list(product(of["climbers"], of["starts"]))
    for climber, start in ways:
        way = effort(
            subject.objective, epsilon=of["epsilon"], climber=climber, start=start, evaluations=of["evaluations"]
        )
        rows += [
            {"climber": climber, "start": start, "evaluations": spent, "sharpness": value}
            for spent, value in zip(way.evaluations, way.sharpness, strict=True)
        ]
        advance(1 / len(ways))
    return rows


def highest_found(rows: Sequence[Row]) -> str:
    """The highest of all."""
    best = max(rows, key=lambda row: float(row["sharpness"]))
    return f"at most {best['sharpness']:.4g}, by {best['climber']} from {best['start']}"


MEASURE = Measure(
    name="effort",
    words="Effort of the search",
    noun="networks to search by effort",
    settings=EffortSettings,
    columns=("climber", "start", "evaluations", "sharpness"),
    value="",
    by=("climber", "start"),
    text=("space", "climber", "start"),
    table=(
        *("network", "data", "regime", "seed", "space", "epsilon", "batch_norm", "examples"),
        *("climber", "start", "evaluations", "sharpness"),
    ),
    plan=plan,
    run=run,
    needs=("value", "value_and_gradient", "unflatten", "shapes"),
    dear=True,
    by_rule=False,
    few="biased upwards: the worst point is theirs",
    found=highest_found,
)

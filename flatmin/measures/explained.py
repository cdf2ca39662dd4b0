"""How much of the sharpness the sharpest directions explain, as a measure of an experiment.

Its table has a row for each eigenvector of the largest eigenvalues: the rise along it as far as the box goes, beside
the quadratic model's, and what it and those before it reach of the worst rise; see `flatmin.sharpness.explained`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count, Length, Positive, Several
from flatmin.measures.measure import AlongTraining, Asked, Measure, Row, Specimen

SHOWN = (1.0, 5.0, 20.0)


class ExplainedSettings(AlongTraining):
    """The share of the worst rise in the box that the eigenvectors of the largest eigenvalues reach.

    Attributes:
        epsilons: Relative half-widths of the box.
        k: Eigenvectors.
        tolerance: Of each eigenvector's residual, relative to its value.
        products: Products with the Hessian at most.
    """

    epsilons: Several[Length] = (1e-3, 5e-4)
    k: Annotated[Count, Field(le=1000)] = 20
    tolerance: Positive = 1e-2
    products: Annotated[int, Field(ge=1, le=100_000)] = 500


def plan(settings: ExplainedSettings, available: int, examples: int) -> Iterator[Asked]:
    """All epsilons, with the same eigenvectors, for each BatchNorm reading."""
    for batch_norm in settings.batch_norm:
        yield Asked(
            label=f"explained-{batch_norm}",
            batch_norm=batch_norm,
            examples=examples,
            batch_size=min(settings.batch_size, examples),
            passes=6.0 * 4 * settings.k + len(settings.epsilons) * (3.0 * 100 + 6.0 * 20 + 6.0 * settings.k),
            setup={
                "epsilons": sorted(settings.epsilons),
                "k": settings.k,
                "tolerance": settings.tolerance,
                "products": settings.products,
            },
        )


def run(subject: Specimen, asked: Asked, advance: Callable[[float], None]) -> list[Row]:
    """A row for each epsilon and eigenvector."""
    from flatmin.curvature.eigenvalues import top_eigenvalues
    from flatmin.sharpness.explained import explained

    rows, of, objective = list[Row](), asked.setup, subject.objective
    largest = top_eigenvalues(
        objective,
        min(of["k"], objective.size),
        tolerance=of["tolerance"],
        products=of["products"],
        copies=False,
    )
    advance(0.3)
    for epsilon in of["epsilons"]:
        frame = explained(objective, epsilon=epsilon, eigenvalues=largest).to_frame()
        rows += [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        advance(0.7 / len(of["epsilons"]))
    return rows


def reached(rows: Sequence[Row]) -> str:
    """What one eigenvector reaches, and what all do."""
    ends = {row["epsilon"]: row for row in rows}
    first = {row["epsilon"]: row for row in rows if row["number"] == 1}
    return ", ".join(
        f"{first[epsilon]['share']:.3g} by the first, {row['share']:.3g} by {row['number']:g} (epsilon {epsilon:g})"
        for epsilon, row in ends.items()
    )


MEASURE = Measure(
    name="explained",
    words="Share of the sharpness that the sharpest directions reach",
    noun="sharpnesses to explain",
    settings=ExplainedSettings,
    columns=(
        *("epsilon", "number", "eigenvalue", "length", "uphill", "uphill_model", "downhill", "downhill_model"),
        *("corner_rise", "corner_model", "share", "within", "without", "length_share", "curvature_share"),
        *("sharpness", "base_loss", "worst_rise", "linear", "linear_rise", "model_at_worst", "model_highest"),
        *("converged", "evaluations", "products"),
    ),
    value="share",
    by=("number", "epsilon"),
    summarised={"number": SHOWN},
    plan=plan,
    run=run,
    found=reached,
    needs=("value", "value_and_gradient", "hvp"),
    unchanged_by=("partition", "permutation"),
)

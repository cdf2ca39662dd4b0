"""What the measures of the largest rise in a ball have in common; each is declared in a file of its own."""

from typing import Annotated, Any

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining, Measure

STANDARD = ("logit_shift", "partition", "permutation")
"""A shift moves the ball along, and its size does not depend on the weights."""
ADAPTIVE = ("layer_rescaling", "node_rescaling", "batch_norm_scale", "partition", "permutation")
"""The ball is rescaled with the weights."""
COLUMNS = ("rho", "value", "base_loss", "left_to_gain", "converged", "evaluations")
BIASED = "biased upwards: the worst point is theirs"


class WorstCaseSettings(AlongTraining):
    """The largest rise of the loss in a ball, by Auto-PGD.

    Attributes:
        rhos: Radii of the ball.
        steps: Of the search.
    """

    rhos: Several[Length] = (0.05,)
    steps: Annotated[Count, Field(le=100_000)] = 20


def passes(asked: WorstCaseSettings) -> float:
    """Of one search, each step of which takes a gradient."""
    return 3.0 * (asked.steps + 1)


def in_a_ball(
    name: str, settings: type[WorstCaseSettings], *, words: str, noun: str, made: str | None = None, **fixed: Any
) -> Measure[Any]:
    """Declare the largest rise in one kind of ball."""
    return by_function(
        "flatmin.sharpness:worst_case_sharpness",
        name=name,
        words=words,
        noun=noun,
        settings=settings,
        several={"rhos": "rho"},
        fixed=fixed,
        made=made,
        passes=passes,
        columns=COLUMNS,
        unit="largest rise of the loss",
        needs=("value", "value_and_gradient", *([made] if made else [])),
        few=BIASED,
        unchanged_by=ADAPTIVE if fixed["adaptive"] else STANDARD,
    )

"""Along how many directions the loss rises steeply, as a measure of an experiment.

Its table has a row for each kind of direction: the share of steep ones with Wilson's interval, and how high the loss
rises, at the length of the box's corners; columns that begin with ``box`` are of the longest step in the box.
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count, Length, Positive, Share
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class SteepDirectionsSettings(AlongTraining):
    """The share of directions, random ones and eigenvectors, along which the loss rises steeply.

    Attributes:
        epsilon: Relative half-width of the box, whose corners are as far away as every step goes.
        directions: Random ones of each kind.
        k: Eigenvectors, those of the largest eigenvalues.
        threshold: A rise of the loss above it is steep.
        share: And one above this share of the highest, in the columns that begin with ``relative``.
        tolerance: Of each eigenvector's residual, relative to its value.
        products: Products with the Hessian at most.
    """

    epsilon: Length = 1e-3
    directions: Annotated[Count, Field(le=100_000)] = 40
    k: Annotated[Count, Field(le=1000)] = 20
    threshold: Positive = 0.1
    share: Share = 0.1
    tolerance: Positive = 1e-2
    products: Annotated[int, Field(ge=1, le=100_000)] = 500


MEASURE = by_function(
    "flatmin.sharpness.steep_directions:steep_directions",
    name="steep_directions",
    words="Share of directions along which the loss is steep",
    noun="networks whose steep directions to count",
    settings=SteepDirectionsSettings,
    passes=lambda settings: 6.0 * 4 * settings.k + 4.0 * (4 * settings.directions + settings.k),
    columns=(
        *("kind", "directions", "size", "length", "threshold", "share", "low", "high", "standard_error"),
        *("relative_share", "relative_low", "relative_high", "mean_rise", "highest_rise"),
        *("box_length", "box_mean_rise", "box_highest_rise"),
    ),
    rows=lambda found: found.by_kind(),
    by=("kind",),
    value="share",
    text=("kind",),
    needs=("value", "value_and_gradient", "hvp", "shapes", "transposed"),
    unchanged_by=("partition", "permutation"),
)

"""The average-case sharpness as a measure of an experiment.

Its table has the mean rise of the loss under Gaussian noise of standard deviation `sigma` on the weights, with the
standard error that the noise leaves; `noise` says whether it is "absolute" or "relative" to each weight.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.measure import AlongTraining, Asked, Measure, Row, Specimen


class AverageCaseSettings(AlongTraining):
    """The mean rise of the loss under Gaussian noise on the weights.

    Attributes:
        sigmas: Standard deviations of the noise.
        noise: ``absolute``, or ``relative`` to the magnitude of each weight.
        pairs: Pairs of opposite draws behind each number.
    """

    sigmas: Several[Length] = (1e-3, 1e-2)
    noise: Several[Literal["absolute", "relative"]] = ("absolute",)
    pairs: Annotated[Count, Field(le=1_000_000)] = 20


def plan(settings: AverageCaseSettings, available: int, examples: int) -> Iterator[Asked]:
    """All sigmas, for each noise and BatchNorm reading."""
    for noise, batch_norm in product(settings.noise, settings.batch_norm):
        yield Asked(
            label=f"{noise}_noise-{batch_norm}",
            batch_norm=batch_norm,
            examples=examples,
            batch_size=min(settings.batch_size, examples),
            passes=2.0 * settings.pairs * len(settings.sigmas),
            setup={
                "sigmas": sorted(settings.sigmas),
                "noise": noise,
                "pairs": settings.pairs,
            },
            facts={"noise": noise},
        )


def run(subject: Specimen, asked: Asked, advance: Callable[[float], None]) -> list[Row]:
    """One row for each sigma; all with the same draws."""
    from flatmin.sharpness.average_case import average_case_sharpness

    rows, of = list[Row](), asked.setup
    for sigma in of["sigmas"]:
        found = average_case_sharpness(
            subject.objective, sigma=sigma, relative=of["noise"] == "relative", pairs=of["pairs"]
        )
        rows.append(found.to_record())
        advance(1 / len(of["sigmas"]))
    return rows


MEASURE = Measure(
    name="average_case",
    words="Average-case sharpness",
    noun="average-case sharpnesses",
    settings=AverageCaseSettings,
    columns=("noise", "sigma", "value", "standard_error", "base_loss", "pairs", "evaluations"),
    value="value",
    unit="mean rise of the loss",
    by=("sigma", "noise"),
    plan=plan,
    run=run,
    text=("noise",),
    unchanged_by=("logit_shift", "partition", "permutation"),
)

"""The sharpness of Metric 2.1 as a measure of an experiment.

In its table, `distribution` is that of the entries of A, "identity" in the full space, `gradient_norm` the length of
the gradient where the search began, `standard_error` that of the rise on the examples searched on, and
`heldout_sharpness` and `test_sharpness` the rise at the worst point found, on training examples not searched on
(NaN where all were) and on test examples.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchNormReading, Count, Epoch, Examples, Length, Several
from flatmin.measures.measure import AlongTraining, Asked, Measure, Row, Specimen

if TYPE_CHECKING:
    from torch import Tensor

    from flatmin.objective.objective import Objective
    from flatmin.sharpness import Sharpness as Found

EVALUATIONS = {"paper": 13, "strong": 110}
ELSEWHERE = ("heldout", "test")


class SharpnessSettings(AlongTraining):
    """The sharpness of Metric 2.1, Tables 3 and 4 of Keskar et al. (2017).

    Attributes:
        epsilons: Half-widths of the box.
        methods: ``paper`` is the published search, ten L-BFGS-B iterations from the minimum, ``strong`` the strong one.
        batch_norm: Statistics that BatchNorm uses. The paper does not say; the authors' code has those of the batch.
        spaces: ``full`` is Table 3 (A is the identity), ``random`` is Table 4.
        subspace_dim: Columns of the random A.
        distributions: Of the entries of A, which the paper does not state; ``normal`` gives magnitudes like its own.
        draws: Random matrices A for each network and distribution.
        epochs: Measure also after so many epochs of training, as in Fig. 6; ``null`` measures minima only.
        examples: Measure on the first so many training examples; ``null`` uses all, as the paper does.
        subsets: Measure minima in the full space on the first so many examples too, and try the worst points found
            there on as many others: what a search on a few examples owes to them.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    epsilons: Several[Length] = (1e-3, 5e-4)
    methods: Several[Literal["paper", "strong"]] = ("paper", "strong")
    batch_norm: Several[BatchNormReading] = ("batch", "running")
    spaces: Several[Literal["full", "random"]] = ("full", "random")
    subspace_dim: Count = 100
    distributions: Several[Literal["normal", "scaled", "unit", "uniform"]] = ("normal",)
    draws: Annotated[Count, Field(le=10_000)] = 5
    epochs: Several[Epoch] | None = None
    examples: Examples | None = None
    subsets: Several[Examples] | None = None


def plan(settings: SharpnessSettings, available: int, examples: int) -> Iterator[Asked]:
    """One search per space, draw, method and BatchNorm reading, over all epsilons; subsets in the full space alone."""
    for count, (dim, distribution, draw), method, batch_norm in product(
        dict.fromkeys([examples, *(settings.subsets or ())]), spaces(settings), settings.methods, settings.batch_norm
    ):
        if count != examples and dim is not None:
            continue
        space = "full" if dim is None else "random"
        yield Asked(
            label=f"{space if dim is None else f'{distribution}{draw}'}-{method}-{batch_norm}",
            batch_norm=batch_norm,
            examples=count,
            batch_size=min(settings.batch_size, count),
            passes=3.0 * EVALUATIONS[method] * len(settings.epsilons),
            setup=setup(
                settings, dim, distribution, draw, method, others_held_out(available, count, settings.batch_size)
            ),
            facts={
                "space": space,
                "subspace_dim": math.nan if dim is None else dim,
                "distribution": distribution,
                "draw": draw,
                "method": method,
            },
            only_minima=count != examples,
        )


def setup(
    settings: SharpnessSettings, dim: int | None, distribution: str, draw: int, method: str, others: int
) -> dict[str, object]:
    """All that fixes a search; the epoch is named for a minimum too, where it is none."""
    from flatmin.sharpness import METHODS

    return {
        "epoch": None,
        "epsilons": sorted(settings.epsilons),
        "method": {"name": method, **METHODS[method]},
        "subspace_dim": dim,
        "distribution": distribution,
        "draw": draw,
        "held_out": others,
    }


def spaces(settings: SharpnessSettings) -> list[tuple[int | None, str, int]]:
    """Columns of A, distribution of its entries and number of the draw, of every search space."""
    found: list[tuple[int | None, str, int]] = [(None, "identity", 0)] if "full" in settings.spaces else []
    if "random" in settings.spaces:
        draws = product(settings.distributions, range(settings.draws))
        found += [(settings.subspace_dim, distribution, draw) for distribution, draw in draws]
    return found


def others_held_out(available: int, examples: int, batch_size: int) -> int:
    """Training examples on which the worst points are tried without having been found on them: as many, if there are.

    Not so few that their BatchNorm statistics are another function than those of the partition.
    """
    from flatmin.core.cuts import SMALL_TAIL

    others = min(examples, available - examples)
    return others if others >= SMALL_TAIL * min(batch_size, examples) and others > 1 else 0


def run(subject: Specimen, asked: Asked, advance: Callable[[float], None]) -> list[Row]:
    """Search the box for every epsilon, the smallest first; one row each.

    Each larger box contains the smaller one, so ``strong`` starts there from the worst point found so far too, and a
    search that finds less in the larger one has not converged, whatever it says of itself. The rise at each worst point
    is taken on other examples as well: on the training examples that come next, and on all test examples.
    """
    from flatmin.core.vectors import norm
    from flatmin.sharpness import epsilon_sharpness

    objective, of = subject.objective, asked.setup
    others = {"test": subject.test()} | ({"heldout": subject.following(of["held_out"])} if of["held_out"] else {})
    gradient_norm = norm(objective.gradient())
    rows, worst, highest = list[Row](), list["Tensor"](), 0.0
    for epsilon in of["epsilons"]:
        found = epsilon_sharpness(
            objective,
            epsilon=epsilon,
            subspace_dim=of["subspace_dim"],
            method=of["method"]["name"],
            distribution="normal" if of["subspace_dim"] is None else of["distribution"],
            seed=of["draw"],
            starts=worst if of["method"]["name"] == "strong" else (),
        )
        worst.append(found.coordinates)
        row = found.to_record() | {"gradient_norm": gradient_norm} | elsewhere(found, subject, others)
        row["converged"] &= found.sharpness >= highest
        highest = max(highest, found.sharpness)
        rows.append(row)
        advance(1 / len(of["epsilons"]))
    return rows


def elsewhere(found: "Found", subject: Specimen, others: "dict[str, Objective]") -> Row:
    """The standard error of the rise where it was searched for, and the rise on other examples with its own."""
    from flatmin.sharpness import rise_on

    numbers = {"standard_error": math.nan} | {
        f"{place}_{name}": math.nan for place in ELSEWHERE for name in ("sharpness", "standard_error")
    }
    if not math.isfinite(found.worst_loss):
        return numbers
    for place, objective in {"": subject.objective, **others}.items():
        prefix = f"{place}_" if place else ""
        if subject.each is None:
            base, worst = (
                float(objective.value(theta)) for theta in (objective.theta, objective.theta + found.perturbation)
            )
            numbers |= {f"{prefix}sharpness": 100 * (worst - base) / (1 + base)} if place else {}
            continue
        population = None if place else subject.population
        rise = rise_on(objective, found.perturbation, each=subject.each, population=population)
        numbers |= {f"{prefix}standard_error": rise.standard_error}
        numbers |= {f"{prefix}sharpness": rise.sharpness} if place else {}
    return numbers


def problem(settings: SharpnessSettings, size: int) -> str:
    """A random subspace has no more dimensions than the network has weights."""
    if "random" in settings.spaces and settings.subspace_dim > size:
        return f"sharpness.subspace_dim must be at most the network's {size} weights."
    return ""


MEASURE = Measure(
    name="sharpness",
    words="Sharpness",
    noun="sharpness searches",
    settings=SharpnessSettings,
    columns=(
        *("epsilon", "sharpness", "base_loss", "worst_loss", "evaluations", "share_at_bound", "perturbation_norm"),
        *("spread", "converged", "gradient_norm"),
        *("standard_error", "heldout_sharpness", "heldout_standard_error", "test_sharpness", "test_standard_error"),
    ),
    value="sharpness",
    unit="%",
    by=("epsilon",),
    text=("space", "distribution", "method"),
    table=(
        *("network", "data", "regime", "seed", "epoch", "space", "subspace_dim", "distribution", "draw", "epsilon"),
        *("method", "batch_norm", "examples", "sharpness", "base_loss", "worst_loss", "evaluations"),
        *("share_at_bound", "perturbation_norm", "spread", "converged", "partition", "gradient_norm"),
        *("standard_error", "heldout_sharpness", "heldout_standard_error", "test_sharpness", "test_standard_error"),
    ),
    plan=plan,
    run=run,
    needs=("value", "gradient", "value_and_gradient", "each", "unflatten", "shapes"),
    by_default=True,
    by_rule=False,
    few="biased upwards: the worst point is theirs",
    problem=problem,
    unchanged_by=("partition", "permutation"),
)

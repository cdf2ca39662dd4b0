r"""The neurons of one network brought into the order of another's, which leaves its function as it is.

*By weights* (Ainsworth et al. 2023, Git Re-Basin, algorithm 1): the order of all neurons that makes the inner product
of the two weight vectors largest, so their distance least. One layer at a time, given the order of its neighbours,
this is a linear assignment, solved exactly; layers are visited in random order until none changes. The whole problem
is hard, so several seeds are tried and the best result is kept.

*By activations* (Li et al. 2016): each layer for itself, by the correlation of what its neurons give on the same
examples.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor, nn

from flatmin.connectivity.activations import correlations
from flatmin.core.checks import one_of, reiterable, seed_of, whole
from flatmin.core.vectors import norm
from flatmin.objective.copying import copied, uncompiled, unwrapped
from flatmin.objective.refusing import refuse
from flatmin.symmetries.places import Place, exchangeable_places
from flatmin.symmetries.symmetry import Acted, Symmetry
from flatmin.symmetries.transform import transformed

METHODS = ("weights", "activations")
SWEEPS = 100
"""Visits to all layers after which a search that still changes something is given up."""
GAIN = 1e-10
"""By which share of the inner product a visit has to raise it, lest rounding be taken for progress."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A network of the same function whose neurons are in the order of another's.

    Attributes:
        model: The network, a copy of the second with weights and BatchNorm buffers permuted.
        orders: For each layer whose neurons were matched, by its name: entry i is the neuron of the second network that
            stands at place i now.
        method: ``"weights"`` or ``"activations"``.
        distance_before: Euclidean distance of the two networks' parameters as they were.
        distance: After matching.
        similarities: Inner product of the two networks' weights that each seed reached, the best one is kept.
        sweeps: Visits to all layers that the best seed took; 1 for activations.
        converged: Whether its last visit changed nothing.
        difference: Largest difference of the outputs before and after, as a share of the largest.
    """

    model: nn.Module
    orders: dict[str, Tensor]
    method: str
    distance_before: float
    distance: float
    similarities: tuple[float, ...]
    sweeps: int
    converged: bool
    difference: float

    @property
    def moved(self) -> float:
        """Share of the neurons that are not where they were: 0 for the identity."""
        return self._moved / self.neurons

    @property
    def neurons(self) -> int:
        """How many neurons could be exchanged."""
        return sum(map(len, self.orders.values()))

    @property
    def _moved(self) -> int:
        return sum(int((order != torch.arange(len(order))).sum()) for order in self.orders.values())

    def __repr__(self) -> str:
        ended = f"{self.sweeps} sweeps" if self.converged else f"NOT CONVERGED in {self.sweeps} sweeps"
        return (
            f"Matched({type(self.model).__name__} by {self.method}: {self._moved:,} of {self.neurons:,} neurons in "
            f"{len(self.orders)} layers moved, distance {self.distance_before:.4g} to {self.distance:.4g}; {ended}, "
            f"outputs equal to {self.difference:.1e})"
        )


def match_neurons(
    first: nn.Module,
    second: nn.Module,
    batches: Iterable[Any],
    *,
    method: str = "weights",
    seeds: int = 3,
    seed: int = 0,
) -> Matched:
    """Permute the neurons of the second network to where those of the first stand.

    Rows of a layer with its bias, what BatchNorm has for each neuron (scale, shift, running averages), and columns of
    the next layer move together; of a convolution a neuron is a channel, which has a block of columns where it is
    flattened. Which layers follow each other is found by tracing. The outputs are compared on ``batches`` in float64,
    and a network that would be another function is not handed out.

    Args:
        first: The network that gives the order; never touched.
        second: The network whose neurons are permuted; never touched.
        batches: As those of :class:`~flatmin.objective.objective.Objective`, one will do for ``"weights"``; both
            networks run on them in evaluation mode.
        method: ``"weights"`` or ``"activations"``.
        seeds: Random orders of visiting the layers that are tried; plays no part for activations.
        seed: Of the first of them.

    Returns:
        The permuted network and how it was found.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If an argument is out of range, the networks differ, a weight is not finite, or (as a
            :class:`~flatmin.symmetries.symmetry.NoPlace`) no layer's neurons can be exchanged.
        RuntimeError: If the permuted network would be another function.

    Example:
        >>> import torch
        >>> first = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> batch = (torch.ones(4, 2), torch.zeros(4))
        >>> other = transformed(first, [batch], symmetry="permutation").model
        >>> found = match_neurons(first, other, [batch])
        >>> torch.equal(found.model[0].weight, first[0].weight), found.converged
        (True, True)
    """
    for name, model in (("first", first), ("second", second)):
        if not isinstance(model, nn.Module):
            raise TypeError(f"`{name}` must be a torch.nn.Module, got {type(model).__name__}.")
    one_of("method", method, METHODS)
    whole("seeds", seeds, minimum=1)
    seed_of("seed", seed)
    held = list(reiterable("batches", batches))
    check_alike(first, second)
    fixed = _double(first, next(unwrapped(second).parameters()).device)
    search = _Search(fixed, method, seeds, seed)
    symmetry = Symmetry(name="matching", words="neurons matched", source="Ainsworth et al. (2023)", act=search.act)
    found = transformed(second, held, symmetry=symmetry)
    return Matched(
        model=found.model,
        orders=search.orders,
        method=method,
        distance_before=distance(first, second),
        distance=distance(first, found.model),
        similarities=tuple(search.similarities),
        sweeps=search.sweeps,
        converged=search.converged,
        difference=found.difference,
    )


class _Search:
    """What is done to the second network, and what was found on the way."""

    def __init__(self, first: nn.Module, method: str, seeds: int, seed: int) -> None:
        self.first, self.method, self.seeds, self.seed = first, method, seeds, seed
        self.orders: dict[str, Tensor] = {}
        self.similarities: list[float] = []
        self.sweeps, self.converged = 1, True

    def act(self, model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
        """Permute the neurons of the second network, a copy in float64."""
        mine, yours = exchangeable_places(self.first), exchangeable_places(model)
        if self.method == "activations":
            tables = correlations(self.first, mine, model, yours, batches)
            orders = [assigned(table) for table in tables]
            _permute(yours, orders)
            self.similarities.append(similarity(self.first, model))
        else:
            start = [tensor.clone() for tensor in _touched(yours)]
            best: list[Tensor] = []
            for seed in range(self.seed, self.seed + self.seeds):
                _restore(yours, start)
                found, sweeps, converged = by_weights(mine, yours, seed)
                self.similarities.append(similarity(self.first, model))
                if self.similarities[-1] >= max(self.similarities):
                    best, self.sweeps, self.converged = found, sweeps, converged
            _restore(yours, start)
            orders = best
            _permute(yours, orders)
        names = {id(layer): name for name, layer in model.named_modules()}
        self.orders = {names[id(place.source)]: order for place, order in zip(yours, orders, strict=True)}
        return Acted(len(yours))


def by_weights(mine: list[Place], yours: list[Place], seed: int) -> tuple[list[Tensor], int, bool]:
    """Coordinate descent: each layer's best order, given the others, until a sweep changes none.

    Args:
        mine: Where the first network's neurons are.
        yours: Those of the second, which are permuted.
        seed: Of the orders in which the layers are visited.

    Returns:
        The order of each place, the number of sweeps, and whether the last one changed nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.arange(place.units) for place in yours]
    for sweep in range(1, SWEEPS + 1):
        changed = False
        for k in torch.randperm(len(yours), generator=generator).tolist():
            table = products(mine[k], yours[k])
            order = assigned(table)
            rows = torch.arange(len(order))
            gain = float(table[rows, order].sum() - table.trace())
            if gain > GAIN * float(table.abs().max()) * len(order):
                yours[k].permute(order)
                orders[k], changed = orders[k][order], True
        if not changed:
            return orders, sweep, True
    return orders, SWEEPS, False


def products(mine: Place, yours: Place) -> Tensor:
    """Inner products of what belongs to neuron i of the first and to neuron j of the second, (units, units)."""
    pairs = zip(_of_neurons(mine), _of_neurons(yours), strict=True)
    first, *rest = [a @ b.T for a, b in pairs]
    return sum(rest, first)


def assigned(table: Tensor) -> Tensor:
    """For each row the column that it is given, so that the sum of these entries is largest.

    Raises:
        ValueError: If an entry is not finite.
    """
    if not bool(table.isfinite().all()):
        raise ValueError("networks must have finite weights and activations to be matched.")
    return torch.as_tensor(linear_sum_assignment(table.cpu().numpy(), maximize=True)[1])


def similarity(first: nn.Module, second: nn.Module) -> float:
    """Inner product of the parameters."""
    return sum(
        float((a.detach().double() * b.detach().double()).sum())
        for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


def distance(first: nn.Module, second: nn.Module) -> float:
    """Euclidean distance of the parameters."""
    pairs = zip(unwrapped(first).parameters(), unwrapped(second).parameters(), strict=True)
    return math.hypot(*(norm(a.detach().double() - b.detach().to(a.device).double()) for a, b in pairs))


def check_alike(first: nn.Module, second: nn.Module) -> None:
    """Refuse two different networks, and those that no order can be found for.

    Raises:
        ValueError: If their parameters differ in name or shape, are not finite, have no shape yet, or there are none.
    """
    refuse(first)
    refuse(second)
    shapes = [{name: p.shape for name, p in unwrapped(model).named_parameters()} for model in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError("`first` and `second` must have the same parameters, got two different networks.")
    if not shapes[0]:
        raise ValueError("`first` and `second` must have parameters, got networks without any.")
    if not all(bool(p.isfinite().all()) for model in (first, second) for p in unwrapped(model).parameters()):
        raise ValueError("networks must have finite weights and activations to be matched.")


def _double(model: nn.Module, device: torch.device) -> nn.Module:
    return uncompiled(copied(unwrapped(model), device=device, dtype=torch.float64)[0]).eval()


def _of_neurons(place: Place) -> list[Tensor]:
    """The parameters that belong to the neurons of a place, a matrix (units, ...) for each tensor."""
    own = [getattr(layer, name, None) for layer in (place.source, *place.carried) for name in ("weight", "bias")]
    rows = [tensor.detach().reshape(place.units, -1) for tensor in own if isinstance(tensor, Tensor)]
    weight = place.target.weight.detach()
    taken = weight.transpose(0, 1).reshape(place.units, -1)
    return [*rows, taken]


def _touched(places: list[Place]) -> list[Tensor]:
    """Every tensor that permuting these places writes into."""
    layers = [layer for place in places for layer in (place.source, *place.carried, place.target)]
    names = ("weight", "bias", "running_mean", "running_var")
    found = [getattr(layer, name, None) for layer in layers for name in names]
    return [tensor for tensor in found if isinstance(tensor, Tensor)]


@torch.no_grad()
def _restore(places: list[Place], start: list[Tensor]) -> None:
    for tensor, kept in zip(_touched(places), start, strict=True):
        tensor.copy_(kept)


def _permute(places: list[Place], orders: list[Tensor]) -> None:
    for place, order in zip(places, orders, strict=True):
        place.permute(order)

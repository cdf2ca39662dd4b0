"""A network of the same function at another point, checked before it is handed out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.core.checks import positive, reiterable, seed_of
from flatmin.objective.batches import mapped, pairs, tensors
from flatmin.objective.copying import converted, copied, uncompiled, unwrapped
from flatmin.objective.losses import forward, scores_of
from flatmin.objective.refusing import refuse
from flatmin.symmetries.symmetry import NoPlace, Symmetry

EXACT = 1e-8
"""How far outputs may differ in float64, as a share of the largest."""
ROUNDINGS = 1e4
"""How many machine epsilons outputs may differ once the weights are rounded to their own arithmetic."""

OTHER_WEIGHTS = "its layers are used in a way that was not seen, it draws random numbers, or the amount is too large"
OTHER_BATCHES = "what the network gives for an example depends on the batch that it is in, or on random numbers"


@dataclass(frozen=True, eq=False)
class Transformed:
    """A network of the same function, and the batches to go with it.

    Attributes:
        model: The network, a copy with weights of its own.
        batches: The same batches, or the same examples in others.
        symmetry: Name of the symmetry.
        amount: How much of it.
        places: Where it acted: pairs of layers, layers, or batches.
        difference: Largest difference of the outputs, computed in float64 with the weights as they are now, as a share
            of the largest output; of a shift, what differs beside it.
    """

    model: nn.Module
    batches: list[Any]
    symmetry: str
    amount: float
    places: int
    difference: float

    def __repr__(self) -> str:
        return (
            f"Transformed({type(self.model).__name__} by {self.symmetry}, amount {self.amount:g}, "
            f"{self.places} places; outputs equal to {self.difference:.1e})"
        )


def transformed(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    symmetry: str | Symmetry = "node_rescaling",
    amount: float = 10.0,
    seed: int = 0,
) -> Transformed:
    """A network of the same function with other weights, or the same examples in other batches.

    The symmetry acts in float64 on a copy. The outputs before and after are compared on all batches in evaluation
    mode; a network that differs by more than 1e-8 of the largest output is not handed out, nor one that differs by
    more than 1e4 machine epsilons once the weights are back in their own arithmetic.

    Args:
        model: Any module; it is never touched.
        batches: As those of :class:`~flatmin.objective.objective.Objective`.
        symmetry: ``"layer_rescaling"``, ``"node_rescaling"``, ``"batch_norm_scale"``, ``"logit_shift"``,
            ``"attention"``, ``"permutation"``, ``"partition"``, or one made by
            :func:`~flatmin.symmetries.attention.attention_of`.
        amount: How much; 1 leaves a rescaling as it is.
        seed: Of what is drawn: factors, bases, orders.

    Returns:
        Network and batches, with the largest difference of the outputs.

    Raises:
        TypeError: If an argument is of the wrong kind, or the network gives no tensor.
        ValueError: If an argument is out of range, or there is no such symmetry.
        NoPlace: If the network has no place for it; a ValueError.
        RuntimeError: If the network would be another function.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
        >>> found = transformed(model, [(torch.ones(4, 2), torch.zeros(4))], symmetry="layer_rescaling", amount=8.0)
        >>> torch.equal(found.model[0].weight, 8 * model[0].weight), found.places, found.difference
        (True, 1, 0.0)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}.")
    chosen = _named(symmetry)
    positive("amount", amount)
    seed_of("seed", seed)
    if not (held := list(reiterable("batches", batches))):
        raise ValueError("`batches` must hold at least one batch, got none.")
    model = unwrapped(model)
    refuse(model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    (before,) = copied(model, device=device, dtype=torch.float64)
    (after,) = copied(model, device=device, dtype=torch.float64)
    before, after = (uncompiled(one).eval() for one in (before, after))
    try:
        acted = chosen.act(after, held, amount, torch.Generator().manual_seed(seed))
    except NoPlace as error:
        raise NoPlace(error.reason, chosen.name) from None
    new = held if acted.batches is None else acted.batches
    reference = _outputs(before, held)
    if acted.order is not None:
        reference = [tensor[acted.order.to(tensor.device)] for tensor in reference]
    why = OTHER_WEIGHTS if acted.order is None else OTHER_BATCHES
    _check(chosen, _difference(reference, _outputs(after, new), shifts=chosen.shifts), EXACT, why)
    coarsest = _as_it_was(after, model)
    difference = _difference(reference, _outputs(after, new), shifts=chosen.shifts)
    _check(chosen, difference, max(EXACT, ROUNDINGS * coarsest), why)
    return Transformed(after, new, chosen.name, float(amount), acted.places, difference)


def _named(symmetry: str | Symmetry) -> Symmetry:
    if isinstance(symmetry, Symmetry):
        return symmetry
    from flatmin.symmetries import symmetries

    known = symmetries()
    if symmetry not in known:
        raise ValueError(f"`symmetry` must be one of {', '.join(map(repr, known))}, got {symmetry!r}.")
    return known[symmetry]


@torch.no_grad()
def _outputs(model: nn.Module, batches: list[Any]) -> list[Tensor]:
    """All outputs in float64, one tensor for each the network gives: of all examples together where they fit.

    Raises:
        TypeError: If the network gives no tensor.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    running = copied(model, device=device, dtype=torch.float64)[0].eval()
    found = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for batch in batches:
            inputs = mapped(lambda t: converted(t.detach().clone(), device, torch.float64), pairs(batch)[0])
            outputs = scores_of(forward(running, inputs))
            if not (given := [t.double() for t in tensors(outputs) if not t.is_complex()]):
                raise TypeError(f"`model` must give a tensor, got {type(outputs).__name__}.")
            found.append(given)
    columns = list(zip(*found, strict=True))
    if all(len({t.shape[1:] for t in column}) == 1 and column[0].ndim for column in columns):
        return [torch.cat(column) for column in columns]
    return [tensor for given in found for tensor in given]


def _difference(before: list[Tensor], after: list[Tensor], *, shifts: bool) -> float:
    """Largest difference as a share of the largest output; NaN counts as infinite."""
    largest = max(float(tensor.abs().max()) for tensor in (*before, *after)) or 1.0
    parts = [one - other for one, other in zip(after, before, strict=True)]
    found = max(_beside_shift(part) if shifts else float(part.abs().max()) for part in parts) / largest
    return found if found == found else float("inf")


def _beside_shift(difference: Tensor) -> float:
    """What of a difference is not the same for all classes, which lie along the second or the last axis."""
    if difference.ndim < 2:
        return float(difference.abs().max())
    return min(float((difference - difference.mean(axis, keepdim=True)).abs().max()) for axis in (1, -1))


def _check(symmetry: Symmetry, difference: float, most: float, why: str) -> None:
    if not difference <= most:
        raise RuntimeError(
            f"`symmetry` {symmetry.name!r} gives another function: outputs differ by {difference:.1e} of the largest, "
            f"more than {most:.1e}; {why}."
        )


def _as_it_was(mine: nn.Module, own: nn.Module) -> float:
    """Bring a copy back into the arithmetic and the mode of the original; return the coarsest machine epsilon."""
    coarsest = 0.0
    for one, other in zip(mine.modules(), _uncompiled_view(own), strict=True):
        one.training = other.training
    for kind in ("parameters", "buffers"):
        for tensor, original in zip(getattr(mine, kind)(), getattr(own, kind)(), strict=True):
            if original.is_floating_point():
                coarsest = max(coarsest, torch.finfo(original.dtype).eps)
                tensor.data = tensor.data.to(original.dtype)
    return coarsest


def _uncompiled_view(model: nn.Module) -> list[nn.Module]:
    """The modules of a network in order, what was compiled in it by what it was made of."""
    return [module for module in model.modules() if not hasattr(module, "_orig_mod")]

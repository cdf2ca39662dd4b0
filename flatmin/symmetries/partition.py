"""The same examples in other batches: in another order, of another size, the last one smaller."""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from flatmin.objective.batches import Batch, count, mapped, merged, pairs
from flatmin.symmetries.symmetry import Acted, NoPlace, Symmetry


def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Cut the batches anew; no batch has a single example.

    Raises:
        NoPlace: If they cannot be cut otherwise.
    """
    batches = [mapped(Tensor.detach, batch) for batch in batches]
    sizes = [count(pairs(batch)) for batch in batches]
    together = merged([Batch((batch,), size, 1.0) for batch, size in zip(batches, sizes, strict=True)])
    if together is None:
        raise NoPlace("its batches have examples of several shapes, so that they cannot be cut otherwise")
    examples = sum(sizes)
    uneven = [size for size in range(2, examples) if examples % size > 1 and size not in sizes]
    if not uneven:
        raise NoPlace(f"its {examples} examples cannot be cut otherwise without a batch of a single one")
    fair = [size for size in uneven if size <= max(2, max(sizes))] or uneven
    size = fair[-1 - int(torch.randint(1 + len(fair) // 2, (), generator=generator))]
    order = torch.randperm(examples, generator=generator)
    (whole,) = together.parts
    starts = range(0, examples, size)
    parts = [mapped(lambda t, a=a: t[order[a : a + size].to(t.device)], whole) for a in starts]  # type: ignore[misc]
    return Acted(len(parts), parts, order)


SYMMETRY = Symmetry(
    name="partition",
    words="cut of the batches",
    source="a mean over examples",
    act=act,
)

"""Queries and keys of an attention head in another basis, values and what takes them in likewise.

A head sees queries and keys through their products alone, (Q A)(K A^-T)' = Q K' for every invertible A, and its values
through the output layer: (V B)(W_O B^-T)' = V W_O'. Da Silva et al. (2025), arXiv 2505.05409.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from flatmin.core.checks import whole
from flatmin.symmetries.symmetry import Acted, NoPlace, Symmetry, factors

Projection = tuple[Any, Any]
"""Weight (heads * width, inputs) and bias, views of which either may be missing."""


def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Change the bases of every head of every ``nn.MultiheadAttention``.

    Raises:
        NoPlace: If there is none.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    if not layers:
        raise NoPlace(
            "it has no nn.MultiheadAttention; from Python name its layers: "
            "attention_of(query=..., key=..., value=..., output=..., heads=...)"
        )
    for layer in layers:
        _turn(_projections(layer), layer.out_proj.weight, layer.num_heads, amount, generator)
    return Acted(len(layers))


def attention_of(*, query: str, key: str, value: str, output: str, heads: int) -> Symmetry:
    """The symmetry of an attention layer whose projections are Linear layers of their own.

    Args:
        query: Name of the layer that gives the queries, such as ``"blocks.0.attention.query"``.
        key: Of the one that gives the keys.
        value: Of the one that gives the values.
        output: Of the one that takes in the heads' outputs, one after the other.
        heads: Number of heads; each owns as many rows in a row.

    Returns:
        The symmetry, for :func:`flatmin.symmetries.transformed`.

    Raises:
        TypeError: If ``heads`` is no whole number.
        ValueError: If ``heads`` is not positive.
    """
    whole("heads", heads, minimum=1)
    names = (query, key, value, output)

    def named(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
        layers: dict[str, Any] = dict(model.named_modules())
        for name in names:
            if not isinstance(layers.get(name), nn.Linear):
                raise NoPlace(f"it has no Linear layer {name!r}")
        projections, last = [layers[name] for name in names[:3]], layers[names[3]]
        sizes = {int(layer.out_features) for layer in projections} | {int(last.in_features)}
        if len(sizes) > 1 or min(sizes) % heads:
            told = ", ".join(map(str, sorted(sizes)))
            raise NoPlace(f"projections of {told} outputs are not {heads} heads of one width")
        _turn([[(layer.weight, layer.bias)] for layer in projections], last.weight, heads, amount, generator)
        return Acted(1)

    return Symmetry(name=SYMMETRY.name, words=SYMMETRY.words, source=SYMMETRY.source, act=named, amount=SYMMETRY.amount)


def _projections(layer: Any) -> list[list[Projection]]:
    """What gives queries, keys and values, with what is appended to the latter two."""
    size = layer.embed_dim
    separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
    weights = separate if layer.in_proj_weight is None else layer.in_proj_weight.split(size)
    biases = (None, None, None) if layer.in_proj_bias is None else layer.in_proj_bias.split(size)
    found: list[list[Projection]] = [[pair] for pair in zip(weights, biases, strict=True)]
    for projections, appended in zip(found[1:], (layer.bias_k, layer.bias_v), strict=True):
        projections += [] if appended is None else [(None, appended.view(-1))]
    return found


@torch.no_grad()
def _turn(of: list[list[Projection]], output: Any, heads: int, amount: float, generator: Generator) -> None:
    """Change the bases of queries, keys and values, and of the output layer's weight, head by head."""
    queries, keys, values = of
    width = output.shape[1] // heads
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        of_keys, of_values = (_basis(width, amount, generator).to(output) for _ in range(2))
        _apply(queries, of_keys.T, own)
        _apply(keys, torch.linalg.inv(of_keys), own)
        _apply(values, of_values.T, own)
        output[:, own] = output[:, own] @ torch.linalg.inv(of_values).T


def _apply(projections: list[Projection], matrix: Tensor, own: slice) -> None:
    for tensor in (tensor for pair in projections for tensor in pair if tensor is not None):
        tensor[own] = matrix @ tensor[own]


def _basis(width: int, amount: float, generator: Generator) -> Tensor:
    """An invertible matrix with singular values between 1 / amount and amount."""
    drawn = torch.randn(2, width, width, generator=generator, dtype=torch.float64)
    left, right = torch.linalg.qr(drawn)[0]
    return torch.mm(left * factors(width, amount, generator), right)


SYMMETRY = Symmetry(
    name="attention",
    words="bases of attention heads",
    source="da Silva et al. (2025)",
    act=act,
    amount="the singular values of the changes of basis lie between 1 / amount and amount",
)

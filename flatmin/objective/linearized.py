r"""The outputs of a network for a batch as a linear function of its weights: what Gauss and Newton put for the Hessian.

With J the Jacobian of the outputs and B the Hessian of the loss as a function of the outputs, the Hessian of the loss
is :math:`J^\top B J` and a second part that is gone where the outputs are linear in the weights or the loss is at its
minimum for every example. For cross-entropy, and for the squared error, it is Fisher's information (Martens, 2020).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.core.derivatives import pulled_back, slopes
from flatmin.objective.losses import Scored, scores_of
from flatmin.objective.network import Network


class Linearized(NamedTuple):
    """Graphs of a batch that give products with its Gauss-Newton matrix.

    Attributes:
        outputs: z.
        inner: Gradient of the loss with respect to z.
        cotangent: u, of the shape of z; what follows is linear in it.
        pulled: The product of u with the Jacobian of z, a part for each parameter.
    """

    outputs: Tensor
    inner: Tensor
    cotangent: Tensor
    pulled: tuple[Tensor, ...]


def linearized(network: Network, scored: Scored) -> Linearized:
    """Graphs of a batch that has been run.

    Raises:
        TypeError: If the outputs are no tensor with a graph.
    """
    outputs = scores_of(scored.outputs)
    if not isinstance(outputs, Tensor) or not outputs.requires_grad:
        kind = type(outputs).__name__
        raise TypeError(
            f"the Gauss-Newton matrix needs the outputs of the network as a tensor, got {kind}; where the loss is your "
            "own step(model, batch), let it return a mapping with 'loss' and 'logits'."
        )
    for parameter in network.parameters:
        parameter.requires_grad_(True)
    (inner,) = slopes(scored.loss, [outputs], create_graph=True)
    cotangent = torch.zeros_like(outputs, requires_grad=True)
    pulled = slopes((cotangent * outputs).sum(), network.parameters, create_graph=True)
    return Linearized(outputs, inner, cotangent, pulled)


def product(graphs: Linearized, network: Network, along: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The Gauss-Newton matrix times a vector, a part for each parameter; the graphs are kept."""
    (ahead,) = pulled_back(graphs.pulled, along, [graphs.cotangent], keep=True)
    (bent,) = pulled_back([graphs.inner], [ahead], [graphs.outputs], keep=True)
    return pulled_back([graphs.outputs], [bent], network.parameters, keep=True)

"""A small network with its Hessian written out by torch's own means."""

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from flatmin import Objective


class Written:
    """Objectives of one network over uneven batches, and its Hessian as a matrix."""

    def __init__(self, seed: int, *, norms: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        middle = [torch.nn.BatchNorm1d(8, track_running_stats=False)] if norms else []
        self.model = torch.nn.Sequential(
            torch.nn.Linear(6, 8),
            *middle,
            torch.nn.Tanh(),
            torch.nn.Linear(8, 5),
            torch.nn.Tanh(),
            torch.nn.Linear(5, 3),
        ).double()
        self.inputs = torch.randn(37, 6, generator=generator, dtype=torch.float64)
        self.targets = torch.randint(3, (37,), generator=generator)

    def objective(self, cut: int = 10, **options: object) -> Objective:
        """Over batches of ``cut`` examples, the last one smaller."""
        batches = zip(self.inputs.split(cut), self.targets.split(cut), strict=True)
        return Objective(self.model, cross_entropy, list(batches), **options)

    def outputs(self, theta: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The network with these weights; with BatchNorm by the batch."""
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        parts = torch.split(theta, [shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return functional_call(self.model.train(), weights, (inputs,))

    def matrix(self, cut: int | None = None) -> torch.Tensor:
        """The Hessian of the mean over batches of ``cut`` examples.

        By ``torch.func``, but with BatchNorm, for which its nested ``jacrev`` gives no symmetric matrix (torch 2.13).
        """
        theta = torch.cat([p.detach().reshape(-1) for p in self.model.parameters()])

        def loss(theta: torch.Tensor) -> torch.Tensor:
            pairs = zip(self.inputs.split(cut or 37), self.targets.split(cut or 37), strict=True)
            return sum(cross_entropy(self.outputs(theta, x), y) * len(x) for x, y in pairs) / 37

        if any(isinstance(layer, torch.nn.BatchNorm1d) for layer in self.model):
            return torch.autograd.functional.hessian(loss, theta)
        return torch.func.jacrev(torch.func.jacrev(loss))(theta).detach()


@pytest.fixture
def written():
    """Made anew at each call."""
    return Written

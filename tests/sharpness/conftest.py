"""Networks and objectives that the sharpness is measured on; nothing here knows how it is measured."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.objective.objective import Objective

Data = tuple[Tensor, Tensor]


@pytest.fixture
def data() -> Data:
    """Fourteen points in three classes, float64."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(14, 5, generator=generator, dtype=torch.float64), torch.randint(3, (14,), generator=generator)


@pytest.fixture
def network() -> Callable[..., nn.Sequential]:
    """``network(batch_norm=True, seed=0)``: 5-6-3 in float64, with statistics of its own and gradients present."""

    def build(*, batch_norm: bool = True, seed: int = 0) -> nn.Sequential:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)]
            if batch_norm:
                layers.insert(1, nn.BatchNorm1d(6))
                layers[1].running_mean.normal_(0, 0.3)
                layers[1].running_var.uniform_(0.5, 2)
            model = nn.Sequential(*layers).double()
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
        return model

    return build


@pytest.fixture
def objective(data: Data, network: Callable[..., nn.Sequential]) -> Callable[..., Objective]:
    """``objective(*edges, seed=0, ...)``: the cross-entropy of such a network on the data, cut at the edges."""

    def build(*edges: int, seed: int = 0, with_batch_norm: bool = True, **options: object) -> Objective:
        options = {"dtype": torch.float64, **options}
        model = network(batch_norm=with_batch_norm, seed=seed)
        batches = [(data[0][a:b], data[1][a:b]) for a, b in pairwise([0, *edges, len(data[1])])]
        return Objective(model, F.cross_entropy, batches, **options)

    return build


class Recording:
    """An objective that keeps the values it has returned."""

    def __init__(self, inner: Objective) -> None:
        self.inner, self.theta, self.values = inner, inner.theta, list[float]()

    def value(self, theta: Tensor) -> Tensor:
        found: Tensor = self.inner.value(theta)
        self.values.append(float(found))
        return found

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        found = self.inner.value_and_gradient(theta)
        self.values.append(float(found[0]))
        return found


@pytest.fixture
def recording() -> type[Recording]:
    """``recording(objective).values`` are all its values so far."""
    return Recording

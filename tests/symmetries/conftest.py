"""Small networks of many kinds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.networks import C1, F1


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 3), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.out(torch.relu(self.second(x)).view(x.size(0), -1))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first, second = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.inner = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), second, nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.inner(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks, self.out = nn.Conv2d(1, 4, 3), nn.Sequential(Block(), Block()), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.blocks(self.stem(x)).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.words = nn.Linear(5, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)  # type: ignore[arg-type]
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x)
        other = {name: words[..., : getattr(self.attention, name)] for name in ("kdim", "vdim")}
        return self.out((words + self.attention(words, other["kdim"], other["vdim"])[0]).mean(1))


class ByHand(nn.Module):
    """Attention of two heads, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, 3)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = (q @ k.mT).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2)).mean(1)


class Branching(nn.Module):
    """What no tracer can follow."""

    def __init__(self, *, reads: bool = False) -> None:
        super().__init__()
        self.layers, self.reads = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)), reads

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.layers(x) if x.abs().sum() > 0 else x
        return outputs * self.layers[0].weight.norm() if self.reads else outputs


MAKERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)), (5,)),
    "tanh": (lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)), (5,)),
    "functional": (Functional, (1, 14, 14)),
    "residual": (Residual, (1, 8, 8)),
    "attention": (lambda: Attention(add_bias_kv=True), (4, 5)),
    "separate": (lambda: Attention(kdim=7, vdim=6, bias=False), (4, 5)),
    "transformer": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(32, 3)),
        (4, 8),
    ),
    "branching": (Branching, (5,)),
    "reading": (lambda: Branching(reads=True), (5,)),
    "by hand": (ByHand, (4, 6)),
    "F1": (lambda: F1(input_shape=(1, 4, 4), width=8, num_classes=3), (1, 4, 4)),
    "C1": (lambda: C1(variant="paper", num_classes=3), (3, 32, 32)),
    "tokens": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)),
        (3, 5),
    ),
    "averaged": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.PReLU(4), nn.Conv1d(4, 3, 3), nn.AvgPool1d(4), nn.Flatten()),
        (2, 8),
    ),
}


@pytest.fixture
def network() -> Callable[[str], nn.Module]:
    """Makes a network, the same at each call, with BatchNorm averages that trainings leave."""

    def made(name: str) -> nn.Module:
        torch.manual_seed(0)
        model = MAKERS[name][0]()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(1e-3, 2)
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
        return model

    return made


@pytest.fixture
def batches() -> Callable[..., list[tuple[Tensor, Tensor]]]:
    """Makes inputs for a network of that name, and targets; the last batch is short."""

    def made(name: str, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        shape = MAKERS[name][1]
        return [(torch.randn(n, *shape, generator=generator), torch.arange(n) % 3) for n in (8, 3)]

    return made

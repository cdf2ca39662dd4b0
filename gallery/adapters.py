"""Low-rank adapters on a frozen network: the plane of the adapters alone."""

import torch
from torch import Tensor, nn

torch.manual_seed(0)


class Adapted(nn.Module):
    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.lora_b = nn.Parameter(0.1 * torch.randn(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.lora_a.T @ self.lora_b.T


model = nn.Sequential(Adapted(nn.Linear(10, 32), 2), nn.Tanh(), Adapted(nn.Linear(32, 3), 2))
inputs, labels = torch.randn(100, 10), torch.randint(3, (100,))

# From the model to a picture
from torch.nn.functional import cross_entropy  # noqa: E402

from flatmin import Objective, epsilon_sharpness, filter_normalized, slice_2d  # noqa: E402

objective = Objective(model, cross_entropy, [(inputs, labels)], select=["*.lora_*"])
print(objective)
print(epsilon_sharpness(objective))
axes = filter_normalized(objective, seed=0), filter_normalized(objective, seed=1)
plane = slice_2d(objective, axes, (torch.linspace(-2, 2, 9), torch.linspace(-2, 2, 9)))
plane.plot(surface=True).figure.savefig("adapters.png")

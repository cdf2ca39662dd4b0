"""A residual network: one plane, two readings of BatchNorm."""

import torch
from torch import Tensor, nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norms[0](self.first(x)).relu()
        return (x + self.norms[1](self.second(hidden))).relu()


model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8), Block(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
images, labels = torch.rand(64, 3, 12, 12), torch.randint(4, (64,))
for _ in range(20):  # running averages of a few steps
    model(images)

# From the model to a picture
from torch.nn.functional import cross_entropy  # noqa: E402

from flatmin import Objective, filter_normalized, plot_side_by_side, slice_2d  # noqa: E402

grid = torch.linspace(-1, 1, 7)
planes = []
for reading in ("running", "batch"):
    objective = Objective(model, cross_entropy, [(images, labels)], batch_norm=reading)
    axes = filter_normalized(objective, seed=0), filter_normalized(objective, seed=1)
    planes.append(slice_2d(objective, axes, (grid, grid)))
plot_side_by_side(planes, titles=["running averages", "statistics of the batch"])[0].figure.savefig("resnet.png")

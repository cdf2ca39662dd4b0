"""A recurrent network: a line through its loss, with the error of a subset."""

import torch
from torch import Tensor, nn

torch.manual_seed(0)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(4, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, series: Tensor) -> Tensor:
        return self.out(self.lstm(series)[0][:, -1])


model = Recurrent()
series, labels = torch.randn(80, 15, 4), torch.randint(3, (80,))

# From the model to a picture
from torch.nn.functional import cross_entropy  # noqa: E402

from flatmin import Objective, filter_normalized, over_subsets, slice_1d  # noqa: E402

parts = [Objective(model, cross_entropy, [(series[k::4], labels[k::4])]) for k in range(4)]
direction = filter_normalized(parts[0])
line = over_subsets(lambda part: slice_1d(part, direction, torch.linspace(-2, 2, 21)), parts)
line.plot().figure.savefig("lstm.png")

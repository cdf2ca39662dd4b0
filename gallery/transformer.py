"""A classifier with attention: sharpness layer by layer."""

import torch
from torch import Tensor, nn

torch.manual_seed(0)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.out = nn.Linear(16, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.encoder(self.words(words)).mean(1))


model = Classifier()
words, labels = torch.randint(20, (64, 9)), torch.randint(3, (64,))

# From the model to a picture
import matplotlib.pyplot as plt  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from flatmin import Objective, by_layer  # noqa: E402
from flatmin.figures import house_style  # noqa: E402

objective = Objective(model, cross_entropy, [(words, labels)])
table = by_layer(objective, epsilon=1e-2)
with house_style():
    figure, axis = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    axis.barh(table["layer"], table["sharpness"])
    axis.set(xlabel="sharpness of the layer by itself (%)", title="ε = 1e-2, 64 examples")
    axis.invert_yaxis()
    figure.savefig("transformer.png")

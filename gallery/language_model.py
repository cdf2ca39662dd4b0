"""A language model with padded batches and an output as Hugging Face's have it: each token counts once."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

torch.manual_seed(0)


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm, self.out = nn.Embedding(30, 16), nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 30)

    def forward(self, input_ids: Tensor, labels: Tensor) -> SimpleNamespace:
        logits = self.out(self.lstm(self.words(input_ids))[0])
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return SimpleNamespace(logits=logits, loss=loss)


model = LanguageModel()
batches = []
for length in (5, 9, 12):  # a batch of 8 is padded to its longest sentence
    ids = torch.randint(1, 30, (8, length))
    padding = torch.arange(length) >= torch.randint(3, length + 1, (8, 1))
    batches.append({"input_ids": ids.masked_fill(padding, 0), "labels": ids.masked_fill(padding, -100)})

# From the model to a picture
from flatmin import Objective, filter_normalized, slice_1d  # noqa: E402

objective = Objective.of(
    model,
    lambda model, batch: model(**batch),
    batches,
    weights=lambda batch: (batch["labels"][:, 1:] != -100).sum(),  # what the mean of a batch was divided by
)
print(objective)
line = slice_1d(objective, filter_normalized(objective), torch.linspace(-1, 1, 21))
line.plot().figure.savefig("language_model.png")

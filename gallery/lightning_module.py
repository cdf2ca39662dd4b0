"""A LightningModule in its own Trainer: sharpness along training."""

import tempfile

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3)
        )
        self.loss = nn.CrossEntropyLoss()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


inputs = torch.randn(256, 10)
labels = inputs[:, :3].argmax(1)

# From the model to a picture
import pandas as pd  # noqa: E402

from flatmin import SharpnessCallback  # noqa: E402
from flatmin.figures import house_style  # noqa: E402

loader = DataLoader(TensorDataset(inputs, labels), batch_size=32, shuffle=True)
callback = SharpnessCallback(["epsilon_sharpness"], every=1, batches=[(inputs, labels)])
with tempfile.TemporaryDirectory() as folder, house_style():
    logger = pl.loggers.CSVLogger(folder)
    trainer = pl.Trainer(max_epochs=5, callbacks=[callback], logger=logger, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")  # fmt: skip
    trainer.fit(Module(), loader)
    history = pd.read_csv(f"{logger.log_dir}/metrics.csv").dropna(subset=["epsilon_sharpness"])
    axis = history.plot("epoch", "epsilon_sharpness", marker="o", legend=0, figsize=(4.5, 3), xticks=history["epoch"])
    axis.set_ylabel("sharpness (%), 256 examples")
    axis.figure.savefig("lightning_module.png", bbox_inches="tight")

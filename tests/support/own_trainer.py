"""A Trainer as a user makes one, without its files and its advice."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

ADVICE = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        ".*num_workers",
        ".*does not have many workers",
        ".*log_every_n_steps",
        "You defined a .validation_step. but",
        ".*isinstance.treespec, LeafSpec",
        ".*LeafSpec.. is deprecated",
        "Starting from v1.9.0, .tensorboardX",
    )
]


def own_trainer(folder: Path, **settings: Any) -> pl.Trainer:
    usual = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    return pl.Trainer(default_root_dir=folder, **{**usual, **settings})

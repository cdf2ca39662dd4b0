"""Measures along anybody's training, which must not feel them."""

import copy
import csv
import math
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from own_trainer import ADVICE, own_trainer
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, IterableDataset

import flatmin
from flatmin import Objective, SharpnessCallback, average_case_sharpness, epsilon_sharpness
from flatmin.data import LightningData
from flatmin.networks import LightningF1

pytestmark = ADVICE
QUICK = partial(epsilon_sharpness, method="paper")


class Augmented(Dataset[Any]):
    """Examples that every generator there is has a hand in."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(6) + random.random() + np.random.standard_normal()
        return noise + index % 3, torch.tensor(index % 3)


class Mine(pl.LightningModule):
    """Dropout, BatchNorm, and draws of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.net(inputs)
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        noise = random.random() + float(np.random.standard_normal())
        loss: Tensor = self.criterion(self(batch[0] + 0.1 * noise), batch[1])
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Lossless(Mine):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [self.criterion]
        del self.criterion

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])


def fit(folder: Path, *callbacks: pl.Callback, model: Any = None, loader: Any = None, **settings: Any) -> pl.Trainer:
    pl.seed_everything(5, verbose=False)
    model = Mine() if model is None else model
    trainer = own_trainer(folder, callbacks=[*callbacks], **{"max_epochs": 2, **settings})
    loader = DataLoader(Augmented(), batch_size=8, shuffle=True) if loader is None else loader
    trainer.fit(model, loader)
    return trainer


def left_behind(trainer: pl.Trainer) -> list[Any]:
    module = trainer.lightning_module
    states = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # type: ignore
    tensors = [tensor.tolist() for tensor in module.state_dict().values()]
    modes = [part.training for part in module.modules()]
    gradients = [parameter.grad is None for parameter in module.parameters()]
    return [*states, tensors, modes, gradients]


BATCHES = [(torch.randn(12, 6, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3)]


@pytest.mark.parametrize("batches", [None, BATCHES], ids=["taken from the loader", "given"])
@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_a_run_with_it_is_bit_for_bit_the_run_without(batches: Any, batch_norm: str, tmp_path: Path) -> None:
    def draws(objective: Objective) -> float:
        return random.random() + float(np.random.standard_normal()) + float(torch.rand(())) + float(objective.value())

    callback = SharpnessCallback(
        {"sharp": QUICK, "draws": draws, "average_case_sharpness": "average_case_sharpness"},
        batches=batches,
        batch_norm=batch_norm,
    )
    assert left_behind(fit(tmp_path)) == left_behind(fit(tmp_path, callback))


def test_what_is_logged_is_what_the_measure_says_of_the_module(tmp_path: Path) -> None:
    trainer = fit(tmp_path, SharpnessCallback([QUICK, "average_case"], batches=BATCHES, batch_norm="batch"))
    objective = Objective(trainer.lightning_module, cross_entropy, BATCHES, batch_norm="batch")
    sharp, average = epsilon_sharpness(objective, method="paper"), average_case_sharpness(objective, sigma=0.01)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert logged["epsilon_sharpness"] == pytest.approx(float(sharp), rel=1e-6)
    assert logged["epsilon_sharpness_converged"] == sharp.converged
    assert logged["average_case_sigma_0.01_absolute"] == pytest.approx(float(average), rel=1e-6)
    assert logged["average_case_sigma_0.01_absolute_standard_error"] == pytest.approx(average.standard_error, rel=1e-6)


def test_every_so_many_epochs_to_every_logger(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    class Run:
        rows: list[dict[str, Any]] = []  # noqa: RUF012

        def define_metric(self, *names: Any, **settings: Any) -> None: ...

        def log(self, row: dict[str, Any], **settings: Any) -> None:
            self.rows.append(row)

    loggers = [
        CSVLogger(tmp_path, "csv", version=0),
        TensorBoardLogger(tmp_path, "tb", version=0),
        WandbLogger(experiment=Run(), save_dir=tmp_path),  # type: ignore[arg-type]
    ]
    trainer = fit(tmp_path, SharpnessCallback([QUICK], every=2, batches=BATCHES), max_epochs=4, logger=loggers)
    last = float(trainer.callback_metrics["epsilon_sharpness"])
    with open(tmp_path / "csv" / "version_0" / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["epsilon_sharpness"]]
    assert [int(row["epoch"]) for row in rows] == [1, 3] and float(rows[-1]["epsilon_sharpness"]) == last
    events = EventAccumulator(str(tmp_path / "tb" / "version_0")).Reload()
    assert [event.value for event in events.Scalars("epsilon_sharpness")][-1] == last
    told = [row for row in Run.rows if "epsilon_sharpness" in row]
    assert [row["epoch"] for row in told] == [1, 3] and told[-1]["epsilon_sharpness"] == last


class Steady(Mine):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])


@pytest.mark.slow
def test_a_compiled_module_is_measured_as_the_module_it_is_of(tmp_path: Path) -> None:
    measures = {"elsewhere": lambda objective: objective.value(2 * objective.theta)}
    compiled: Any = torch.compile(Steady(), backend="eager")
    trainer = fit(tmp_path, SharpnessCallback(measures, batches=BATCHES), model=compiled, max_epochs=1)
    plain = Steady().eval()
    plain.load_state_dict(trainer.lightning_module.state_dict())
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter *= 2
        expected = cross_entropy(plain(BATCHES[0][0]), BATCHES[0][1])
    assert float(trainer.callback_metrics["elsewhere"]) == pytest.approx(float(expected), rel=1e-5)


def test_a_checkpoint_may_monitor_it(tmp_path: Path) -> None:
    keeper = pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", monitor="epsilon_sharpness", save_top_k=2)
    fit(tmp_path, SharpnessCallback([QUICK], batches=BATCHES), keeper, enable_checkpointing=True)
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"epoch=0.ckpt", "epoch=1.ckpt"}


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter((torch.full((6,), float(index)), torch.tensor(index % 3)) for index in range(20))


class Plain(Dataset[Any]):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        return torch.full((6,), float(index)), torch.tensor(index % 3)


@pytest.mark.parametrize(
    "loader",
    [
        lambda: DataLoader(Plain(), batch_size=4, shuffle=True),
        lambda: DataLoader(Plain(), batch_sampler=[[5, 3], [1, 7]]),
        lambda: DataLoader(Stream(), batch_size=4),
        lambda: DataLoader([(torch.full((2, 6), i * 1.0), torch.arange(2)) for i in range(20)], batch_size=None),
    ],
    ids=["shuffled", "batch sampler", "stream", "batches"],
)
def test_the_first_examples_of_the_loader_are_taken(loader: Any, tmp_path: Path) -> None:
    taken: list[Any] = []
    callback = SharpnessCallback({"taken": lambda objective: taken.extend(objective.batches) or 0.0}, examples=6)
    fit(tmp_path, callback, loader=loader(), max_epochs=1)
    assert sum(len(batch[1]) for batch in taken) == 6
    assert sorted({int(row[0]) for batch in taken for row in batch[0]}) in ([0, 1, 2], [*range(6)])


def test_a_second_fit_takes_the_examples_of_its_own_loader(tmp_path: Path) -> None:
    sums: list[float] = []
    callback = SharpnessCallback({"it": lambda objective: sums.append(float(objective.batches[0][0].sum())) or 0.0})
    for shift in (0.0, 1.0):
        pairs = [(torch.full((6,), index + shift), torch.tensor(index % 3)) for index in range(4)]
        fit(tmp_path, callback, loader=DataLoader(pairs, batch_size=4), max_epochs=1)  # type: ignore[arg-type]
    assert sums == [36.0, 60.0]


def test_of_data_that_shuffle_by_themselves_the_order_is_kept(tmp_path: Path) -> None:
    def weights(*callbacks: pl.Callback) -> list[Tensor]:
        pl.seed_everything(1, verbose=False)
        network = LightningF1(width=4, input_shape=(1, 8, 8))
        own_trainer(tmp_path, max_epochs=2, callbacks=[*callbacks]).fit(network, LightningData("digits"))
        return [*network.state_dict().values()]

    pairs = zip(weights(), weights(SharpnessCallback([QUICK], examples=100)), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_run_that_diverges_goes_on_and_logs_nan(tmp_path: Path) -> None:
    class Diverging(Mine):
        def on_train_epoch_start(self) -> None:
            if self.current_epoch == 1:
                self.net[0].weight.data.fill_(math.nan)

    trainer = fit(tmp_path, SharpnessCallback([QUICK], batches=BATCHES), model=Diverging())
    names = ("epsilon_sharpness", "epsilon_sharpness_converged")
    assert all(math.isnan(trainer.callback_metrics[name]) for name in names)


def test_a_step_with_the_loss_inside(tmp_path: Path) -> None:
    def step(module: Any, batch: Any) -> Tensor:
        return cross_entropy(module(batch["x"]), batch["y"])

    dicts = [{"x": x, "y": y} for x, y in BATCHES]
    trainer = fit(tmp_path, SharpnessCallback([QUICK], batches=dicts, step=step), model=Lossless())
    expected = epsilon_sharpness(Objective(trainer.lightning_module, cross_entropy, BATCHES), method="paper")
    assert float(trainer.callback_metrics["epsilon_sharpness"]) == pytest.approx(float(expected), rel=1e-6)


def test_a_loss_given_comes_before_none_of_its_own(tmp_path: Path) -> None:
    assert fit(tmp_path, SharpnessCallback([QUICK], loss=cross_entropy, batches=BATCHES), model=Lossless())


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"measures": "epsilon_sharpness"}, TypeError, "must be a list of names or functions, got a str"),
        ({"measures": []}, ValueError, "at least one measure, got none"),
        ({"measures": [3]}, TypeError, "must hold names or functions of an objective, got int"),
        ({"measures": ["sharpnes"]}, ValueError, "no measure 'sharpnes'; the known ones are epsilon_sharpness, av"),
        ({"measures": [QUICK, epsilon_sharpness]}, ValueError, "'epsilon_sharpness' twice; pass a mapping of names"),
        ({"every": 0}, ValueError, "`every` must be at least 1, got 0"),
        ({"examples": 0}, ValueError, "`examples` must be at least 1, got 0"),
        ({"batches": iter(BATCHES)}, TypeError, "`batches` must be re-iterable, got a list_iterator"),
        ({"loss": cross_entropy, "step": len}, ValueError, "`loss` and `step` must not both be given"),
        ({"loss": 3}, TypeError, "`loss` must be callable, got int"),
        ({"batch_norm": "train"}, ValueError, "`batch_norm` must be one of"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(arguments: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        SharpnessCallback(**arguments)


@pytest.mark.parametrize(
    ("callback", "model", "loader", "kind", "message"),
    [
        ({"batches": BATCHES}, Lossless, None, ValueError, "Lossless has no loss, criterion or loss_fn of its own"),
        (
            {},
            Mine,
            {"a": DataLoader(Plain(), batch_size=4)},
            TypeError,
            "one train loader.*got a dict of loaders; pass",
        ),
        ({"measures": {"it": lambda objective: "high"}}, Mine, None, TypeError, "measure 'it' must return a number"),
    ],
)
def test_what_does_not_fit_in_a_run_is_said(
    callback: Any, model: Any, loader: Any, kind: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        fit(tmp_path, SharpnessCallback(**callback), model=model(), loader=loader)


def test_it_is_public_and_survives_a_copy() -> None:
    assert "SharpnessCallback" in flatmin.__all__
    assert copy.deepcopy(SharpnessCallback()).every == 1

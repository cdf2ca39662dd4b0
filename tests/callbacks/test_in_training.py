"""Measures that take what only a training has: its optimiser, its module, where the last search ended."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from own_trainer import ADVICE, own_trainer
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from flatmin import Objective, SharpnessCallback, critical_sharpness, preconditioned_sharpness

pytestmark = ADVICE
GENERATOR = torch.Generator().manual_seed(0)
BATCHES = [(torch.randn(24, 6, generator=GENERATOR), torch.arange(24) % 3)]
IN_TRAINING = [
    "critical_sharpness",
    "preconditioned_sharpness",
    "top_eigenvalue",
    "gradient_noise_scale",
    "hessian_trace",
]


class Groups(pl.LightningModule):
    """Biases and weights in groups of their own, in another order than the module has them."""

    def __init__(self, rates: tuple[float, float] = (0.01, 0.01), kind: Any = torch.optim.Adam) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))
        self.criterion = nn.CrossEntropyLoss()
        self.rates, self.kind = rates, kind

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.net(inputs)
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.criterion(self(batch[0]), batch[1])
        return loss

    def configure_optimizers(self) -> Any:
        biases = [parameter for parameter in self.parameters() if parameter.ndim == 1]
        weights = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        groups = [{"params": biases, "lr": self.rates[0]}, {"params": weights, "lr": self.rates[1]}]
        optimizer = self.kind(groups, lr=self.rates[0])
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


def fit(folder: Path, *callbacks: pl.Callback, model: Any = None, **settings: Any) -> pl.Trainer:
    pl.seed_everything(5, verbose=False)
    trainer = own_trainer(folder, callbacks=[*callbacks], **{"max_epochs": 3, **settings})
    inputs, targets = BATCHES[0]
    pairs: Any = list(zip(inputs, targets, strict=True))
    trainer.fit(Groups() if model is None else model, DataLoader(pairs, batch_size=8, shuffle=True))
    return trainer


def left_behind(trainer: pl.Trainer) -> list[Any]:
    states = [trainer.lightning_module.state_dict(), trainer.optimizers[0].state_dict(), torch.get_rng_state().tolist()]
    return [exact(state) for state in states]


def exact(value: Any) -> Any:
    if isinstance(value, Tensor):
        return str(value.dtype), value.tolist()
    return {key: exact(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_a_run_with_them_is_bit_for_bit_the_run_without(tmp_path: Path) -> None:
    assert left_behind(fit(tmp_path)) == left_behind(fit(tmp_path, SharpnessCallback(IN_TRAINING, batches=BATCHES)))


def test_they_are_those_of_the_optimiser_of_the_training(tmp_path: Path) -> None:
    trainer = fit(tmp_path, SharpnessCallback(IN_TRAINING, batches=BATCHES), max_epochs=2)
    module: Any = trainer.lightning_module
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    dense = torch.autograd.functional.hessian(loss_of(module), flat(module))
    scales = torch.cat([adam_scale(trainer.optimizers[0], p).reshape(-1) for p in module.parameters()])
    felt = dense / (scales.sqrt()[:, None] * scales.sqrt()[None])
    assert logged["top_eigenvalue"] == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=1e-3)
    assert logged["preconditioned_sharpness"] == pytest.approx(float(torch.linalg.eigvalsh(felt)[-1]), rel=1e-3)
    error = logged["hessian_trace_standard_error"]
    assert abs(logged["hessian_trace"] - float(dense.trace())) < 3 * error < 0.1 * float(dense.trace())
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    assert logged["preconditioned_sharpness_threshold"] == pytest.approx(38 / rate)
    assert logged["preconditioned_sharpness_converged"] == logged["top_eigenvalue_converged"] == 1
    objective = Objective(module, cross_entropy, BATCHES)
    alone = critical_sharpness(objective, optimizer=trainer.optimizers[0], model=module)
    assert logged["critical_sharpness"] == pytest.approx(float(alone), rel=0.05)
    assert alone.learning_rate == rate


def flat(module: Any) -> Tensor:
    return torch.cat([parameter.detach().double().reshape(-1) for parameter in module.parameters()])


def loss_of(module: Any) -> Any:
    inputs, targets = BATCHES[0][0].double(), BATCHES[0][1]

    def loss(vector: Tensor) -> Tensor:
        first, bias, second, last = vector.split([48, 8, 24, 3])
        hidden = torch.tanh(inputs @ first.reshape(8, 6).T + bias)
        return cross_entropy(hidden @ second.reshape(3, 8).T + last, targets)

    return loss


def adam_scale(optimizer: Any, parameter: nn.Parameter) -> Tensor:
    state = optimizer.state[parameter]
    step = float(state["step"])
    root = (state["exp_avg_sq"].double() / (1 - 0.999**step)).sqrt()
    return (1 - 0.9**step) * (root + 1e-8)


def test_each_search_starts_where_the_last_one_ended(tmp_path: Path) -> None:
    starts: list[Any] = []

    class Found(float):
        warm_start = 3.0

    def mine(objective: Any, start: Any = None) -> float:
        starts.append(start)
        return Found(1.0)

    callback = SharpnessCallback([mine], batches=BATCHES)
    fit(tmp_path, callback)
    fit(tmp_path, callback, max_epochs=1)
    assert starts == [None, 3.0, 3.0, None]


def test_a_function_of_ones_own_gets_what_it_takes_by_name(tmp_path: Path) -> None:
    seen: list[Any] = []

    def mine(objective: Any, *, optimizer: Any, model: Any) -> float:
        seen.append((type(optimizer).__name__, type(model).__name__))
        return 0.0

    def given(objective: Any, model: str = "") -> float:
        seen.append(model)
        return 0.0

    fit(tmp_path, SharpnessCallback([mine, partial(given, model="mine")], batches=BATCHES), max_epochs=1)
    assert seen == [("Adam", "Groups"), "mine"]


def test_groups_with_several_learning_rates_are_said_before_the_training_unless_one_is_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must have one learning rate, got 0\.01, 0\.1; pass learning_rate="):
        fit(tmp_path, SharpnessCallback(["critical_sharpness"], batches=BATCHES), model=Groups((0.1, 0.01)))
    settled = partial(critical_sharpness, learning_rate=0.1), partial(preconditioned_sharpness, learning_rate=0.1)
    fit(tmp_path, SharpnessCallback([*settled], batches=BATCHES), model=Groups((0.1, 0.01)), max_epochs=1)


@pytest.mark.filterwarnings("ignore:.*returned `None`, this fit will run with no optimizer")
def test_a_training_without_an_optimiser_is_said_before_it(tmp_path: Path) -> None:
    class Without(Groups):
        def configure_optimizers(self) -> Any:
            return None

    with pytest.raises(ValueError, match="'preconditioned_sharpness' needs an optimizer, and the Trainer has none"):
        fit(tmp_path, SharpnessCallback(["preconditioned_sharpness"], batches=BATCHES), model=Without())


def test_a_live_line_goes_to_whatever_logger_there_is(tmp_path: Path) -> None:
    class Run:
        rows: list[dict[str, Any]] = []  # noqa: RUF012

        def define_metric(self, *names: Any, **settings: Any) -> None: ...

        def log(self, row: dict[str, Any], **settings: Any) -> None:
            self.rows.append(row)

    logger = WandbLogger(experiment=Run(), save_dir=tmp_path)  # type: ignore[arg-type]
    fit(tmp_path, SharpnessCallback(IN_TRAINING, batches=BATCHES), logger=logger)
    for name in (*IN_TRAINING, "preconditioned_sharpness_threshold"):
        assert len([row for row in Run.rows if name in row]) == 3

"""Training against a loop written by hand, its laws, and what it leaves behind."""

import copy
import dataclasses
import gc
import logging
import math
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.core.cuts import cuts
from flatmin.data.batches import Pair, ShuffledBatches, epoch_seed, fixed_batches, resolved_size
from flatmin.objective.evaluation import Evaluation
from flatmin.training import Classifier, Trained, TrainingSettings, train
from flatmin.training.averaging import Averaging
from flatmin.training.record_keeping import RecordKeeper

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]


def same(first: Trained, second: Trained) -> bool:
    return (
        first.rows == second.rows
        and first.status == second.status
        and first.distance_from_start == second.distance_from_start
        and all(torch.equal(first.state[name], second.state[name]) for name in first.state)
    )


class Adam:
    """Kingma and Ba (2015), algorithm 1, with the default settings."""

    def __init__(self, parameters: list[Tensor], rate: float) -> None:
        self.rate, self.step = rate, 0
        self.slots = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]

    def update(self, gradients: tuple[Tensor, ...]) -> None:
        self.step += 1
        for (p, m, v), g in zip(self.slots, gradients, strict=True):
            m.copy_(0.9 * m + 0.1 * g)
            v.copy_(0.999 * v + 0.001 * g**2)
            unbiased = m / (1 - 0.9**self.step), v / (1 - 0.999**self.step)
            p.data -= self.rate * unbiased[0] / (unbiased[1].sqrt() + 1e-8)


def scores_by_hand(network: nn.Module, data: Data) -> dict[str, float]:
    """Losses and accuracies with the statistics of each split taken as one batch, and with the running averages."""
    row = {}
    for prefix in ("", "running_"):
        quiet = copy.deepcopy(network).double().eval()
        if not prefix:
            quiet[1].running_mean = quiet[1].running_var = None
        for name, (inputs, targets) in zip(("train", "test"), data, strict=True):
            logits = quiet(inputs.double()).detach().numpy()
            picked = logits[np.arange(len(targets)), targets.numpy()]
            row[f"{prefix}{name}_loss"] = float(np.mean(np.log(np.exp(logits).sum(1)) - picked))
            row[f"{prefix}{name}_accuracy"] = float(np.mean(logits.argmax(1) == targets.numpy()))
    return row


def test_training_is_the_loop_one_would_write_by_hand(fresh: Fresh, data: Data, settings: TrainingSettings) -> None:
    trained = train(fresh(), *data, settings, seed=3)
    network = fresh().train()
    parameters = list(network.parameters())
    adam = Adam(parameters, 1e-2)
    rows = [{"epoch": 0, **scores_by_hand(network, data)}]
    with torch.random.fork_rng(devices=[]):
        for epoch in range(4):
            seed = int(np.random.SeedSequence(3).spawn(4)[epoch].generate_state(1)[0])
            order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
            torch.manual_seed(seed)
            for chosen in (order[:16], order[16:32], order[32:48], order[48:]):
                loss = F.cross_entropy(network(data[0].inputs[chosen]), data[0].targets[chosen])
                adam.update(torch.autograd.grad(loss, parameters))
            rows.append({"epoch": epoch + 1, **scores_by_hand(network, data)})
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(trained.state[name], tensor, rtol=1e-4, atol=1e-5)
    assert [row.keys() for row in trained.rows] == [row.keys() for row in rows]
    for found, expected in zip(trained.rows, rows, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)
    start = torch.cat([p.detach().reshape(-1) for p in fresh().parameters()])
    end = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    assert trained.distance_from_start == pytest.approx(float((end - start).norm()), rel=1e-4)
    assert trained.status == "finished" and trained.epochs == 4


def test_records_have_no_dropout_and_with_averages_do_not_depend_on_their_batches(fresh: Fresh, data: Data) -> None:
    network = fresh()
    trained = train(network, *data, TrainingSettings(batch_size=16, epochs=2, evaluation_batch_size=7))
    whole = train(fresh(), *data, TrainingSettings(batch_size=16, epochs=2))
    assert whole.rows[-1] == pytest.approx({"epoch": 2, **scores_by_hand(network, data)}, rel=1e-5)
    for row, other in zip(trained.rows, whole.rows, strict=True):
        averaged = {name for name in row if name == "epoch" or name.startswith("running_")}
        assert {name: row[name] for name in averaged} == pytest.approx(
            {name: other[name] for name in averaged}, rel=1e-6
        )
        assert row["train_loss"] != pytest.approx(other["train_loss"], rel=1e-6)
    assert all(torch.equal(trained.state[name], whole.state[name]) for name in whole.state)
    assert all(torch.equal(trained.state[name], tensor) for name, tensor in network.state_dict().items())


def test_a_seed_fixes_everything_and_another_changes_it(fresh: Fresh, data: Data, settings: TrainingSettings) -> None:
    first = train(fresh(), *data, settings, seed=1)
    torch.rand(5)
    assert same(first, train(fresh(), *data, settings, seed=1))
    other = train(fresh(), *data, settings, seed=2)
    assert other.rows[0] == first.rows[0]
    assert not torch.equal(other.state["0.weight"], first.state["0.weight"])


def test_dropout_depends_on_the_seed_too(fresh: Fresh, data: Data) -> None:
    settings = TrainingSettings(batch_size=50, epochs=1)
    first, second = (train(fresh(), *data, settings, seed=seed) for seed in (1, 2))
    difference = first.state["0.weight"] - second.state["0.weight"]
    assert difference.abs().max() > 1e-4


def test_an_epoch_is_a_permutation_of_its_seed_and_number() -> None:
    inputs = torch.arange(40.0)

    def order(seed: int, epoch: int, size: int = 7) -> list[float]:
        batches = list(ShuffledBatches(inputs, inputs.long(), size, seed=seed, epoch=epoch))
        assert [len(b.targets) for b in batches] == [b - a for a, b in cuts(40, size)]
        assert all(torch.equal(b.inputs.long(), b.targets) for b in batches)
        return torch.cat([b.inputs for b in batches]).tolist()

    assert sorted(order(0, 0)) == inputs.tolist()
    assert order(4, 2) == order(4, 2, size=40)
    orders = {tuple(order(seed, epoch)) for seed in range(6) for epoch in range(6)}
    assert len(orders) == 36


def test_epoch_seeds_differ_and_fit_the_generator() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in (0, 1, 2, 2**31, 2**32, 2**40) for epoch in range(200)}
    assert len(seeds) == 1200
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_batch_sizes() -> None:
    assert [resolved_size(size, 1437) for size in (1, 1437, "10%", "100%", "12.5%", " 0.001%")] == [
        1,
        1437,
        144,
        1437,
        180,
        1,
    ]
    assert cuts(9, 4) == [(0, 4), (4, 9)] and cuts(3, 1) == [(0, 1), (1, 2), (2, 3)] and cuts(1, 4) == [(0, 1)]
    assert [len(b.targets) for b in fixed_batches(torch.zeros(5, 2), torch.zeros(5), 100)] == [5]
    for size in ("10", "0%", "101%", "x%", "1/0%", "nan%"):
        with pytest.raises(ValueError, match=f"whole number or a percentage like '10%', got '{size}'"):
            resolved_size(size, 10)
    with pytest.raises(ValueError, match="at most the 10 training examples, got 11"):
        resolved_size(11, 10)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        resolved_size(0, 10)


@pytest.mark.parametrize(
    ("losses", "patience", "end", "status"),
    [
        ([1.0, 0.9, 0.8, 0.7], None, 3, "finished"),
        ([1.0, 0.995, 0.995, 0.5], 2, 2, "plateau"),
        ([1.0, 0.995, 0.985, 0.98, 0.977], 2, 4, "plateau"),
        ([1.0, 2.0, 0.98, 2.0, 2.0], 2, 4, "plateau"),
        ([1.0, 2.0, 0.98, 0.97, 0.96], 2, 4, "finished"),
        ([1.0, 1.0], 1, 1, "plateau"),
        ([0.0, 0.0, 0.0], 2, 2, "plateau"),
        ([1.0, 0.5, math.nan, 0.1], None, 2, "diverged"),
        ([1.0, math.inf, 0.1], 1, 1, "diverged"),
    ],
)
def test_the_rule_that_ends_a_run(
    losses: list[float], patience: int | None, end: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = iter(losses)

    class Scripted:
        has_batch_norm = False

        def __init__(self, module: object, loss: object, batches: list[float], batch_norm: str) -> None:
            self.batches = batches

        def at(self, module: object) -> "Scripted":
            return self

        def evaluate(self) -> Evaluation:
            return Evaluation(next(coming) if self.batches == ["train"] else 0.0, 0.5)

    monkeypatch.setattr("flatmin.training.scores.Objective", Scripted)
    seen: list[float] = []
    keeper = RecordKeeper(
        ["train"], ["test"], patience=patience, min_improvement=0.01, on_epoch=lambda row: seen.append(row["epoch"])
    )
    trainer = SimpleNamespace(current_epoch=0, should_stop=False, logger=None)
    keeper.on_train_start(trainer, None)
    for trainer.current_epoch in range(len(losses) - 1):
        keeper.on_train_epoch_end(trainer, None)
        if trainer.should_stop:
            break
    assert (keeper.rows[-1]["epoch"], keeper.status) == (end, status)
    assert seen == list(range(end + 1))


def test_a_run_that_stops_improving_ends_early(fresh: Fresh, data: Data) -> None:
    settings = TrainingSettings(batch_size=50, epochs=30, optimizer="sgd", learning_rate=1e-12, patience=3)
    trained = train(fresh(), *data, settings)
    assert trained.status == "plateau" and trained.epochs <= 5


def test_a_run_that_diverges_says_at_which_epoch(data: Data) -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    settings = TrainingSettings(batch_size=50, epochs=9, optimizer="sgd", learning_rate=3e38)
    trained = train(network, *data, settings)
    assert trained.status == "diverged" and trained.epochs == 1
    assert not math.isfinite(trained.rows[-1]["train_loss"])


def test_optimizers_are_fused_where_torch_has_it() -> None:
    network = nn.Linear(2, 2)
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad}
    for name, kind in kinds.items():
        optimizer = Classifier(network, optimizer=name, learning_rate=0.3).configure_optimizers()
        assert type(optimizer) is kind and optimizer.defaults["lr"] == 0.3
        assert optimizer.defaults.get("weight_decay", 0) == 0
        version = tuple(int(part) for part in torch.__version__.split(".")[:2])
        assert bool(optimizer.defaults.get("fused")) == (name != "adagrad" and version >= (2, 4))
    with_momentum = Classifier(network, optimizer="sgd", momentum=0.9).configure_optimizers()
    assert with_momentum.defaults["momentum"] == 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_other_optimizers_train_and_leave_frozen_weights(optimizer: str, fresh: Fresh, data: Data) -> None:
    network = fresh()
    network[0].requires_grad_(False)
    settings = TrainingSettings(batch_size=16, epochs=3, optimizer=optimizer, learning_rate=0.1)
    trained = train(network, *data, settings)
    assert torch.equal(trained.state["0.weight"], fresh()[0].weight)
    assert not torch.equal(trained.state["4.weight"], fresh()[4].weight)
    assert not network[0].weight.requires_grad


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
        ({"batch_size": "10%"}, TypeError, "`batch_size` must be an int, got str"),
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1, got 0"),
        ({"patience": 0}, ValueError, "`patience` must be at least 1, got 0"),
        ({"evaluation_batch_size": 0}, ValueError, "`evaluation_batch_size` must be at least 1, got 0"),
        ({"min_improvement": 1.0}, ValueError, r"`min_improvement` must lie in \[0, 1\), got 1.0"),
        ({"min_improvement": math.nan}, ValueError, "`min_improvement` must lie in"),
        ({"optimizer": "lion"}, ValueError, "`optimizer` must be one of 'adam', 'sgd', 'adagrad', 'lars'"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be positive, got 0.0"),
        ({"momentum": 0.9}, ValueError, "`momentum` must be 0 with 'adam', got 0.9; only 'sgd', 'lars' and"),
        ({"momentum": -1.0, "optimizer": "sgd"}, ValueError, "`momentum` must lie in"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainingSettings(**{"batch_size": 16} | change)


@pytest.mark.parametrize("other", [None, (torch.ones(3, 2),), ([[1.0]], [0]), torch.ones(2, 2)])
def test_data_that_are_no_pair_of_tensors_are_named_and_a_plain_pair_will_do(
    other: Any, fresh: Fresh, data: Data, settings: TrainingSettings
) -> None:
    told = r"`test_data` must be a pair \(inputs, targets\) of tensors, got"
    with pytest.raises(TypeError, match=told):
        train(fresh(), data[0], other, settings, seed=0)
    plain = train(fresh(), tuple(data[0]), tuple(data[1]), settings, seed=0)  # type: ignore[arg-type]
    assert plain.rows == train(fresh(), *data, settings, seed=0).rows and "tensor" not in repr(plain)


def test_a_bad_seed_is_named(fresh: Fresh, data: Data, settings: TrainingSettings) -> None:
    with pytest.raises(ValueError, match="`seed` must be at least 0, got -1"):
        train(fresh(), *data, settings, seed=-1)


class Notebook(Logger):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int | None, dict[str, float]]] = []

    name = version = None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.lines.append((step, dict(metrics)))

    def log_hyperparams(self, *arguments: Any, **named: Any) -> None:
        pass


def test_rows_reach_the_logger_and_the_callback(fresh: Fresh, data: Data, settings: TrainingSettings) -> None:
    logger, seen = Notebook(), []
    trained = train(fresh(), *data, settings, logger=logger, on_epoch=seen.append)
    assert seen == trained.rows
    assert logger.lines == [(row["epoch"], row) for row in trained.rows]


def test_nothing_is_left_behind(
    fresh: Fresh,
    data: Data,
    settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lightning = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(lightning, "level", logging.INFO)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    filters, random, environment = list(warnings.filters), torch.get_rng_state(), dict(os.environ)
    inputs = [tensor.clone() for pair in data for tensor in pair]
    for logger in (None, Notebook()):
        train(fresh(), *data, settings, logger=logger)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert lightning.level == logging.INFO
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert warnings.filters == filters and torch.equal(torch.get_rng_state(), random)
    assert dict(os.environ) == environment
    assert all(torch.equal(a, b) for a, b in zip(inputs, [t for pair in data for t in pair], strict=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_an_interruption_comes_through(
    error: type[BaseException], fresh: Fresh, data: Data, settings: TrainingSettings
) -> None:
    def interrupt(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise error("stop")

    handler, random = signal.getsignal(signal.SIGINT), torch.get_rng_state()
    with pytest.raises(error):
        train(fresh(), *data, settings, on_epoch=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.equal(torch.get_rng_state(), random)


def test_cluster_variables_do_not_matter(
    fresh: Fresh, data: Data, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(fresh(), *data, settings)
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    assert same(expected, train(fresh(), *data, settings))


def test_settings_are_frozen(settings: TrainingSettings) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.epochs = 1  # type: ignore[misc]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_the_same_network(fresh: Fresh, data: Data, settings: TrainingSettings) -> None:
    moved = tuple(Pair(*(tensor.cuda() for tensor in pair)) for pair in data)
    network = fresh()
    network[3].p = 0.0
    trained = train(network, *moved, settings, device="cuda")
    assert next(network.parameters()).is_cuda and trained.state["0.weight"].device.type == "cpu"
    plain = fresh()
    plain[3].p = 0.0
    expected = train(plain, *data, settings)
    assert trained.rows[-1]["train_loss"] == pytest.approx(expected.rows[-1]["train_loss"], rel=1e-2)


@pytest.mark.parametrize("changes", [{}, {"averaging": Averaging(start=1)}, {"snapshots": (0, 1)}, {"patience": 1}])
def test_a_training_leaves_nothing_in_memory_but_its_network(changes, tmp_path):
    def tensors() -> int:
        return sum(type(each) in (Tensor, nn.Parameter) for each in gc.get_objects())

    def once() -> None:
        data = Pair(torch.randn(60, 1, 8, 8), torch.arange(60) % 3)
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3))
        settings = TrainingSettings(batch_size=30, epochs=2, **changes)
        train(network, data, data, settings, seed=0, checkpoint=tmp_path / f"{len(list(tmp_path.iterdir()))}.ckpt")

    once()
    gc.collect()
    gc.disable()
    try:
        before = tensors()
        once()
        assert tensors() == before
    finally:
        gc.enable()

"""A killed run ends with the bits of one that was not, and a checkpoint is whole or the old one."""

import errno
import hashlib
import io
import multiprocessing
import os
import random
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flatmin.core.errors import ResultsError
from flatmin.data.batches import Pair
from flatmin.training import (
    Adversarial,
    Augmentation,
    Averaging,
    Conservative,
    Decay,
    GradientNoise,
    GrowingBatch,
    Robust,
    SharpnessAware,
    SlowStart,
    Stability,
    Trained,
    TrainingSettings,
    WarmUp,
    start_network,
    train,
    trainer,
)
from flatmin.training.checkpoints import AtomicCheckpointIO

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]


@pytest.fixture(autouse=True)
def checkpoint_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)


class Killed(BaseException):
    pass


def killed_at(epoch: int, seen: list[float]) -> Callable[[dict[str, float]], None]:
    def on_epoch(row: dict[str, float]) -> None:
        seen.append(row["epoch"])
        if row["epoch"] == epoch:
            raise Killed

    return on_epoch


def assert_same(first: Trained, second: Trained) -> None:
    assert first.rows == second.rows
    assert (first.status, first.distance_from_start) == (second.status, second.distance_from_start)
    assert (first.averaged, first.members) == (second.averaged, second.members)
    assert first.state.keys() == second.state.keys()
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)
    assert first.snapshots.keys() == second.snapshots.keys()
    for epoch, state in first.snapshots.items():
        assert all(torch.equal(state[name], second.snapshots[epoch][name]) for name in state)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam"},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adagrad"},
        {"method": Conservative(strength=0.1)},
        {"method": Conservative(), "optimizer": "sgd", "momentum": 0.5},
        {"method": Robust(rho=0.5)},
        {"method": SharpnessAware(rho=0.5, adaptive=True, m=8), "optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "lars", "momentum": 0.9},
        {"optimizer": "lamb"},
        {"method": Adversarial(epsilon=0.3)},
        {"method": GradientNoise(like=4)},
        {"method": Stability(sigma=0.5, weight=1.0)},
        {"optimizer": "rmsprop_warm_up", "momentum": 0.9},
        {"optimizer": "rmsprop_warm_up", "growing_batch": GrowingBatch(epochs=(1, 3), factor=2.0)},
        {"growing_batch": GrowingBatch(epochs=(1,), factor=3.0, largest=20), "averaging": Averaging(2)},
        {"averaging": Averaging(2)},
        {"averaging": Averaging(0.5, every=2, learning_rate=0.1), "optimizer": "lamb"},
        {"averaging": Averaging(3), "precision": "bfloat16", "method": SharpnessAware()},
        {"ghost_batch_norm": 5, "gradient_clip": 0.1, "method": SharpnessAware(m=8)},
        {"warm_up": WarmUp(2.5), "decay": Decay((2.0,)), "optimizer": "sgd", "momentum": 0.9},
        {"slow_start": SlowStart((1.0, 3.0), (0.5, 1.0, 0.1)), "weight_decay": 0.01},
        {"method": GradientNoise(sigma=0.5), "gradient_clip": 1.0},
        {"precision": "bfloat16"},
        {"snapshots": (0, 2, 3)},
        {"snapshots": (4, 1), "method": Robust()},
    ],
    ids=str,
)
def test_a_run_stopped_after_any_epoch_ends_the_same(
    changes: dict[str, Any], fresh: Fresh, data: Data, tmp_path: Path
) -> None:
    settings = TrainingSettings(batch_size=16, epochs=4, learning_rate=1e-2, **changes)
    expected = train(fresh(), *data, settings, seed=3)
    checkpoint = tmp_path / "folder" / "run.ckpt"
    seen: list[list[float]] = []
    for epoch in (0, 1, 2, 3, 4):
        seen.append([])
        with pytest.raises(Killed):
            train(fresh(), *data, settings, seed=3, checkpoint=checkpoint, on_epoch=killed_at(epoch, seen[-1]))
        torch.rand(7)
    rest: list[float] = []
    resumed = train(
        fresh(), *data, settings, seed=3, checkpoint=checkpoint, on_epoch=lambda row: rest.append(row["epoch"])
    )
    assert_same(resumed, expected)
    assert seen == [[0], [0, 1], [0, 1, 2], [2, 3], [3, 4]] and rest == [4]

    again = train(fresh(), *data, settings, seed=3, checkpoint=checkpoint, on_epoch=rest.append)
    assert_same(again, expected)
    assert rest == [4]


def pictures() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(48, 2))


def test_augmented_images_are_drawn_again_as_they_were(tmp_path: Path) -> None:
    images, targets = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 2
    data = Pair(images[:20], targets[:20]), Pair(images[20:], targets[20:])
    settings = TrainingSettings(batch_size=5, epochs=3, augmentation=Augmentation(), method=Conservative())
    expected = train(start_network(pictures, 1), *data, settings)
    torch.rand(3)
    for epoch in (2, 3):
        with pytest.raises(Killed):
            checkpoint = tmp_path / "run.ckpt"
            train(start_network(pictures, 1), *data, settings, checkpoint=checkpoint, on_epoch=killed_at(epoch, []))
    assert_same(train(start_network(pictures, 1), *data, settings, checkpoint=checkpoint), expected)


def test_the_rule_that_ends_a_run_remembers_what_came_before(fresh: Fresh, data: Data, tmp_path: Path) -> None:
    settings = TrainingSettings(batch_size=16, epochs=60, learning_rate=0.05, patience=4, min_improvement=0.02)
    expected = train(fresh(), *data, settings)
    assert expected.status == "plateau" and expected.epochs > 6
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        train(fresh(), *data, settings, checkpoint=checkpoint, on_epoch=killed_at(expected.epochs - 1, []))
    assert_same(train(fresh(), *data, settings, checkpoint=checkpoint), expected)
    assert_same(train(fresh(), *data, settings, checkpoint=checkpoint), expected)


SCRIPT = """
from pathlib import Path
import torch
from sklearn.datasets import load_digits
from torch import nn
from flatmin.data.batches import Pair
from flatmin.training import TrainingSettings, start_network, train, trainer

torch.set_num_threads(1)
trainer.CHECKPOINT_SECONDS = 0.0
digits = load_digits()
inputs, targets = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

def build():
    return nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))

def on_epoch(row):
    with progress.open("a") as file:
        file.write("x")

trained = train(
    start_network(build, 0), Pair(inputs[:1437], targets[:1437]), Pair(inputs[1437:], targets[1437:]),
    TrainingSettings(batch_size=64, epochs=12), seed=1, checkpoint=checkpoint, on_epoch=on_epoch,
)
torch.save((trained.state, trained.rows, trained.status, trained.distance_from_start), result)
"""


class Runs:
    """Runs of the script in processes of their own, forked from one that has already imported everything."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "script.py"
        self.script.write_text(SCRIPT)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["flatmin.training", "sklearn.datasets"])

    def start(self, folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        names = {"progress": "progress", "checkpoint": "run.ckpt", "result": "result"}
        paths = {key: folder / name for key, name in names.items()}
        process = self.context.Process(target=runpy.run_path, args=(str(self.script), paths))
        process.start()
        return process


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    whole = runs.start(tmp_path / "whole")
    whole.join(120)
    assert whole.exitcode == 0

    folder, moments, kills = tmp_path / "killed", random.Random(), 0
    for _ in range(5):
        before = size(folder / "progress")
        process = runs.start(folder)
        deadline = time.monotonic() + 60
        while process.is_alive() and size(folder / "progress") == before and time.monotonic() < deadline:
            time.sleep(0.002)
        process.join(moments.uniform(0, 0.1))
        process.kill()
        process.join()
        kills += process.exitcode == -9
        (folder / ".run.ckpt.1.tmp").write_bytes(b"left by the kill")
    last = runs.start(folder)
    last.join(120)
    assert last.exitcode == 0 and kills >= 2

    first, second = (torch.load(tmp_path / name / "result", weights_only=True) for name in ("whole", "killed"))
    assert first[1:] == second[1:] and len(first[1]) == 13
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


def test_checkpoints_are_written_at_intervals(
    fresh: Fresh, data: Data, settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 1000.0)
    train(fresh(), *data, settings, checkpoint=tmp_path / "run.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_checkpoint_is_refused(
    damage: str, fresh: Fresh, data: Data, settings: TrainingSettings, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    train(fresh(), *data, settings, checkpoint=checkpoint)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-100], "flipped": content, "empty": b"", "foreign": b"not a checkpoint" * 10}[damage]
    checkpoint.write_bytes(bytes(damaged))
    message = r"the checkpoint .*run\.ckpt is damaged; delete it to train this run again from its start\."
    with pytest.raises(ResultsError, match=message):
        train(fresh(), *data, settings, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == damaged


def full(*arguments: Any, **named: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace"])
def test_a_full_disk_is_said_and_the_old_checkpoint_kept(
    step: str, fresh: Fresh, data: Data, settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        train(fresh(), *data, settings, checkpoint=checkpoint, on_epoch=killed_at(3, []))
    before = checkpoint.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "mkdir" else os, step, full)
        with pytest.raises(ResultsError, match=r"cannot write the checkpoint .*run\.ckpt: No space left on device\."):
            train(fresh(), *data, settings, checkpoint=checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]
    assert checkpoint.read_bytes() == before
    assert_same(train(fresh(), *data, settings, checkpoint=checkpoint), train(fresh(), *data, settings))


def test_a_checkpoint_where_none_can_be(fresh: Fresh, data: Data, settings: TrainingSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ResultsError, match=r"cannot write the checkpoint .*: Not a directory\.|File exists\."):
        train(fresh(), *data, settings, checkpoint=tmp_path / "file" / "run.ckpt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResultsError, match=r"cannot read the checkpoint .*folder: Is a directory\."):
        train(fresh(), *data, settings, checkpoint=tmp_path / "folder")


def test_the_file_is_a_digest_and_torchs_bytes(tmp_path: Path) -> None:
    state = {"weights": torch.arange(3.0), "rows": [{"epoch": 0.0}]}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".b.ckpt.1.tmp").write_bytes(b"left by a kill")
    AtomicCheckpointIO().save_checkpoint(state, tmp_path / "a" / "b.ckpt")
    back = AtomicCheckpointIO().load_checkpoint(tmp_path / "a" / "b.ckpt")
    assert torch.equal(back["weights"], state["weights"]) and back["rows"] == state["rows"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.ckpt"]
    content = (tmp_path / "a" / "b.ckpt").read_bytes()
    assert hashlib.sha256(content[32:]).digest() == content[:32]
    assert torch.equal(torch.load(io.BytesIO(content[32:]), weights_only=True)["weights"], state["weights"])


def resealed(checkpoint: Path, change: Callable[[Any], Any]) -> None:
    """Change what a checkpoint holds and put the right digest before it."""
    loaded = torch.load(io.BytesIO(checkpoint.read_bytes()[32:]), weights_only=True)
    stream = io.BytesIO()
    torch.save(change(loaded), stream)
    checkpoint.write_bytes(hashlib.sha256(stream.getvalue()).digest() + stream.getvalue())


def smaller(loaded: Any) -> Any:
    weights = loaded["state_dict"]
    return loaded | {"state_dict": {name: tensor[:1] if tensor.ndim else tensor for name, tensor in weights.items()}}


def in_callbacks(loaded: Any, **state: Any) -> Any:
    return loaded | {"callbacks": {name: kept | state for name, kept in loaded["callbacks"].items()}}


def optimizer(loaded: Any) -> Any:
    (state,) = loaded["optimizer_states"]
    kept = {key: {name: torch.zeros(1) for name in moments} for key, moments in state["state"].items()}
    return loaded | {"optimizer_states": [state | {"state": kept}]}


RESEALED: dict[str, Callable[[Any], Any]] = {
    "list": lambda loaded: [],
    "nothing": lambda loaded: {},
    "weights": smaller,
    "no weights": lambda loaded: loaded | {"state_dict": {}},
    "rows": lambda loaded: in_callbacks(loaded, rows=[]),
    "words": lambda loaded: in_callbacks(loaded, rows=[{"epoch": "x"}]),
    "loops": lambda loaded: loaded | {"loops": 3},
    "moments": optimizer,
}


@pytest.mark.parametrize("kind", RESEALED)
def test_a_checkpoint_of_another_training_is_refused(
    kind: str, fresh: Fresh, data: Data, settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyError, match="killed"):
        train(fresh(), *data, settings, checkpoint=checkpoint, on_epoch=killed_after_the_second)
    resealed(checkpoint, RESEALED[kind])
    message = r"\Athe checkpoint .*run\.ckpt .*; delete it to train this run again from its start\.\Z"
    with pytest.raises(ResultsError, match=message):
        train(fresh(), *data, settings, checkpoint=checkpoint)
    checkpoint.unlink()
    train(fresh(), *data, settings, checkpoint=checkpoint)


def killed_after_the_second(row: dict[str, float]) -> None:
    if row["epoch"] == 3:
        raise KeyError("killed")


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_a_damaged_snapshot_ends_in_no_circle(
    damage: str, fresh: Fresh, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the message says to delete leads to a run that ends as an undisturbed one."""
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    settings = TrainingSettings(16, epochs=4, learning_rate=1e-2, snapshots=(1, 3))
    whole = train(fresh(), *data, settings)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyError, match="killed"):
        train(fresh(), *data, settings, checkpoint=checkpoint, on_epoch=killed_after_the_second)
    snapshot = tmp_path / "run.epoch1.ckpt"
    if damage == "another":
        resealed(snapshot, lambda state: {name: tensor[:1] for name, tensor in state.items() if tensor.ndim})
    else:
        content = snapshot.read_bytes()
        snapshot.unlink()
        if damage == "cut":
            snapshot.write_bytes(content[:-9])
    message = rf"checkpoint .*run\.epoch1\.ckpt.*; delete {checkpoint} to train this run again from its start\.\Z"
    with pytest.raises(ResultsError, match=message):
        train(fresh(), *data, settings, checkpoint=checkpoint)
    checkpoint.unlink()
    found = train(fresh(), *data, settings, checkpoint=checkpoint)
    assert all(torch.equal(found.state[name], whole.state[name]) for name in whole.state)
    assert found.snapshots.keys() == whole.snapshots.keys()

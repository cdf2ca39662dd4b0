"""Weights on the way are those of a shorter run, and survive a kill without weighing on the checkpoint."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from flatmin.core.errors import ResultsError
from flatmin.data.batches import Pair
from flatmin.training import TrainingSettings, train, trainer

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]


def settings(epochs: int, *snapshots: int, patience: int | None = None) -> TrainingSettings:
    return TrainingSettings(batch_size=16, epochs=epochs, learning_rate=1e-2, snapshots=snapshots, patience=patience)


def test_a_snapshot_is_where_a_shorter_run_ends(fresh: Fresh, data: Data) -> None:
    trained = train(fresh(), *data, settings(3, 0, 2, 3))
    assert list(trained.snapshots) == [0, 2, 3]
    ends = {0: fresh().state_dict(), 2: train(fresh(), *data, settings(2)).state, 3: trained.state}
    for epoch, state in trained.snapshots.items():
        assert state.keys() == ends[epoch].keys()
        assert all(torch.equal(tensor, ends[epoch][name]) for name, tensor in state.items())
        assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in state.values())
    assert train(fresh(), *data, settings(1)).snapshots == {}


def test_snapshots_change_nothing_else(fresh: Fresh, data: Data) -> None:
    plain, kept = train(fresh(), *data, settings(3)), train(fresh(), *data, settings(3, 0, 1, 2, 3))
    assert plain.rows == kept.rows and all(torch.equal(plain.state[name], kept.state[name]) for name in plain.state)


def test_a_run_that_ends_early_has_those_it_reached(fresh: Fresh, data: Data) -> None:
    frozen = TrainingSettings(16, epochs=9, optimizer="sgd", learning_rate=1e-12, patience=2, snapshots=(1, 9))
    trained = train(fresh(), *data, frozen)
    assert trained.status == "plateau" and list(trained.snapshots) == [1]


def test_training_goes_out_from_a_snapshot(fresh: Fresh, data: Data) -> None:
    before = train(fresh(), *data, settings(3, 1)).snapshots[1]
    network = fresh()
    network.load_state_dict(before)
    trained = train(network, *data, TrainingSettings(batch_size=50, epochs=2))
    names = [name for name, _ in network.named_parameters()]
    moved = torch.cat([(trained.state[name] - before[name]).flatten() for name in names])
    assert trained.distance_from_start == pytest.approx(float(moved.norm()), rel=1e-5)


def killed(row: dict[str, float]) -> None:
    if row["epoch"] == 3:
        raise KeyError("killed")


def test_they_lie_beside_the_checkpoint(
    fresh: Fresh, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    sizes = []
    for name, snapshots in (("plain", ()), ("kept", (0, 1, 2, 4))):
        checkpoint = tmp_path / name / "run.ckpt"
        with pytest.raises(KeyError, match="killed"):
            train(fresh(), *data, settings(4, *snapshots), checkpoint=checkpoint, on_epoch=killed)
        sizes.append(checkpoint.stat().st_size)
    assert sizes[1] - sizes[0] < 500
    folder = tmp_path / "kept"
    beside = ["run.ckpt", "run.epoch0.ckpt", "run.epoch1.ckpt", "run.epoch2.ckpt"]
    assert sorted(path.name for path in folder.iterdir()) == beside
    (folder / "run.epoch1.ckpt").unlink()
    with pytest.raises(ResultsError, match=r"cannot read the checkpoint .*run\.epoch1\.ckpt: No such file"):
        train(fresh(), *data, settings(4, *snapshots), checkpoint=checkpoint)

"""SWAP against runs of train() by hand: its phases, its processes, and what a kill leaves."""

import math
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flatmin.core.errors import ResultsError
from flatmin.data.batches import Pair
from flatmin.training import (
    GrowingBatch,
    SlowStart,
    Swapped,
    TrainingSettings,
    Workers,
    swap,
    train,
    trainer,
    worker_seed,
)
from flatmin.training.swapped import train_swapped

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]
LARGE = TrainingSettings(25, epochs=3, learning_rate=0.02)
SMALL = TrainingSettings(5, epochs=2, learning_rate=0.01)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same_state(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_same(one: Swapped, other: Swapped) -> None:
    assert one.reached == other.reached and len(one.workers) == len(other.workers)
    for a, b in zip((one.start, *one.workers, one.mean), (other.start, *other.workers, other.mean), strict=True):
        assert a.row == b.row and same_state(a.state, b.state)


def test_one_worker_is_a_plain_run_bit_for_bit(fresh: Fresh, data: Data) -> None:
    network, plain = fresh(), fresh()
    found = swap(network, *data, LARGE, SMALL, workers=1, seed=4)
    first = train(plain, *data, LARGE, seed=4)
    second = train(plain, *data, SMALL, seed=worker_seed(4, 0))
    assert same_state(found.start.state, first.state) and found.start.row == first.rows[-1]
    assert same_state(found.mean.state, second.state) and found.mean.row == second.rows[-1]
    assert same_state(network.state_dict(), second.state) and not found.reached


def test_the_mean_is_that_of_workers_which_are_plain_runs_with_their_own_orders(fresh: Fresh, data: Data) -> None:
    network = fresh()
    found = swap(network, *data, LARGE, SMALL, workers=3, seed=4)
    for k, worker in enumerate(found.workers):
        alone = fresh()
        alone.load_state_dict(found.start.state)
        trained = train(alone, *data, SMALL, seed=worker_seed(4, k))
        assert same_state(worker.state, trained.state) and worker.row == trained.rows[-1]
    assert len({float(worker.state["0.weight"].sum()) for worker in found.workers}) == 3
    for name in ("0.weight", "1.weight", "4.bias"):
        expected = torch.stack([worker.state[name].double() for worker in found.workers]).mean(0)
        assert torch.equal(found.mean.state[name], expected.float())
    met = data[0].inputs @ network[0].weight.detach().T
    torch.testing.assert_close(found.mean.state["1.running_mean"], met.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.mean.state["1.running_var"], met.var(0), rtol=1e-4, atol=1e-6)
    scores = network.eval()(data[1].inputs)
    assert found.mean.row["running_test_accuracy"] == pytest.approx(
        float((scores.argmax(1) == data[1].targets).float().mean())
    )
    assert same_state(network.state_dict(), found.mean.state)


def test_phase_1_ends_at_the_accuracy_that_was_asked_for(fresh: Fresh, data: Data) -> None:
    rows = train(fresh(), *data, LARGE, seed=4).rows
    aim = rows[1]["train_accuracy"]
    heard: list[tuple[int | None, float]] = []
    options: dict[str, Any] = {"on_epoch": lambda worker, row: heard.append((worker, row["epoch"]))}
    found = swap(fresh(), *data, LARGE, SMALL, workers=2, seed=4, stop_at=aim, **options)
    assert found.reached and found.start.row == rows[1]
    assert heard == [(None, 0), (None, 1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert not swap(fresh(), *data, LARGE, SMALL, workers=1, seed=4, stop_at=1.0).reached


class Killed(Exception):
    pass


def test_a_run_killed_at_any_epoch_ends_the_same(
    fresh: Fresh, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    expected = swap(fresh(), *data, LARGE, SMALL, workers=2, seed=4, stop_at=0.999)
    seen: list[Any] = []

    def killed(at: Any) -> Callable[..., None]:
        def on_epoch(worker: int | None, row: Any) -> None:
            seen.append((worker, row["epoch"]))
            if (worker, row["epoch"]) == at:
                raise Killed

        return on_epoch

    for at in [(None, 2), (None, 3), (0, 1), (0, 2), (1, 2)]:
        with pytest.raises(Killed):
            swap(fresh(), *data, LARGE, SMALL, workers=2, seed=4, stop_at=0.999, folder=tmp_path, on_epoch=killed(at))
    resume = {"seed": 4, "stop_at": 0.999, "folder": tmp_path}
    assert_same(swap(fresh(), *data, LARGE, SMALL, workers=2, on_epoch=killed(None), **resume), expected)
    assert seen.count((None, 1)) == 1 and seen.count((0, 1)) == 2 and seen.count((1, 1)) == 1
    more = swap(fresh(), *data, LARGE, SMALL, workers=3, on_epoch=killed(None), **resume)
    assert same_state(more.workers[1].state, expected.workers[1].state) and len(more.workers) == 3
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "start.ckpt", "swap.json", "worker0.ckpt", "worker1.ckpt", "worker2.ckpt"
    ]  # fmt: skip
    with pytest.raises(ResultsError, match="holds a SWAP of other settings, network or data; delete it or take"):
        swap(fresh(), *data, LARGE, LARGE, workers=2, **resume)


@pytest.mark.slow
def test_processes_change_nothing(fresh: Fresh, data: Data, tmp_path: Path) -> None:
    expected = swap(fresh(), *data, LARGE, SMALL, workers=2, seed=4)
    heard: list[Any] = []
    found = swap(
        fresh(), *data, LARGE, SMALL, workers=2, seed=4, processes=2, folder=tmp_path,
        on_epoch=lambda worker, row: heard.append((worker, row["epoch"])),
    )  # fmt: skip
    assert_same(found, expected)
    assert sorted(heard[4:]) == [(worker, epoch) for worker in range(2) for epoch in range(3)]
    assert not multiprocessing.active_children() and not (tmp_path / "phase2.pt").exists()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"workers": 0}, ValueError, "`workers` must be at least 1, got 0"),
        ({"processes": 1.5}, TypeError, "`processes` must be an int, got float"),
        ({"threads": 0}, ValueError, "`threads` must be at least 1, got 0"),
        ({"stop_at": 98}, ValueError, r"`stop_at` must lie in \(0, 1\], got 98"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"processes": 2, "criterion": lambda *_: None}, ValueError, "must be of importable classes for several"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_arguments_are_told(
    changes: dict[str, Any], error: type[Exception], words: str, fresh: Fresh, data: Data, tmp_path: Path
) -> None:
    if "criterion" in changes:
        swap(fresh(), *data, LARGE, SMALL, workers=1, folder=tmp_path)
    with pytest.raises(error, match=words):
        swap(fresh(), *data, LARGE, SMALL, **{"workers": 2, "folder": tmp_path, **changes})


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("rate", "of_workers", "epochs"), [(1e30, 0.1, 1), (0.1, 1e30, 3)])
def test_in_a_study_a_swap_that_diverges_is_a_training_that_did(
    rate: float, of_workers: float, epochs: int, processes: int, fresh: Fresh, data: Data, tmp_path: Path
) -> None:
    workers = Workers(8, 2, workers=2, learning_rate=of_workers, processes=processes)
    settings = TrainingSettings(16, epochs=3, optimizer="sgd", learning_rate=rate, swap=workers)
    for _ in range(2):  # the second finds what the first has left
        found = train_swapped(fresh(), *data, settings, checkpoint=tmp_path / "training.ckpt")
        assert (found.status, found.epochs, found.members) == ("diverged", epochs, ())
        assert not math.isfinite(found.final["train_loss"])


def test_workers_have_none_of_the_phases_of_the_large_batch(fresh: Fresh, data: Data) -> None:
    """Theirs are told by `swap`; a warm-up in epochs of the large batch, say, would keep them slow to their end."""
    large: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 2}
    plain = TrainingSettings(
        16, **large, growing_batch=GrowingBatch((1,), factor=2.0), slow_start=SlowStart((1.0,), (0.5, 0.1))
    )
    start = train(fresh(), *data, plain, seed=4)
    network = fresh()
    network.load_state_dict(start.state)
    expected = train(network, *data, TrainingSettings(8, **large), seed=worker_seed(4, 0))
    swapped = train_swapped(fresh(), *data, replace(plain, swap=Workers(8, 2, workers=1)), seed=4)
    assert same_state(swapped.state, expected.state)


def test_a_training_that_diverges_is_told(fresh: Fresh, data: Data, tmp_path: Path) -> None:
    wild = TrainingSettings(5, epochs=2, optimizer="sgd", learning_rate=1e38)
    with pytest.raises(RuntimeError, match="the large batch diverged in epoch 1: take a smaller learning rate"):
        swap(fresh(), *data, wild, SMALL)
    with pytest.raises(RuntimeError, match="worker 0 diverged in epoch 1: take a smaller learning rate"):
        swap(fresh(), *data, LARGE, wild)


MISBEHAVIOUR = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    from flatmin.core.errors import ResultsError
    from flatmin.training.worker_processes import in_processes

    def work(job, say):
        say(os.getpid())
        if job == "fails":
            raise KeyError("a reason")
        if job == "refuses":
            raise ResultsError("the disk is full.")
        if job == "vanishes":
            os._exit(3)
        time.sleep(60)

    def heard(job, pid):
        with open(sys.argv[1], "a") as file:
            file.write(f"{pid}\\n")

    if __name__ == "__main__":
        try:
            in_processes(work, sys.argv[2].split(), processes=2, heard=heard, noun="worker")
        except (ResultsError, RuntimeError) as error:
            print(type(error).__name__, error)
    """
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(MISBEHAVIOUR)
    return tmp_path / "script.py"


def alive(pids: Path) -> list[int]:
    """Those of the processes that are there, and no zombies of whoever started them."""
    found = []
    for pid in map(int, pids.read_text().split()):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
        except OSError:
            continue
    return found


def gone(pids: Path) -> bool:
    deadline = time.monotonic() + 10
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pids)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ("waits fails", "RuntimeError worker fails failed: KeyError: 'a reason'"),
        ("waits refuses", "ResultsError the disk is full."),
        ("waits vanishes", "RuntimeError worker vanishes failed: its process ended with exit status 3"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told_and_the_others_are_ended(jobs: str, words: str, script: Path) -> None:
    pids = script.with_name("pids")
    done = subprocess.run([sys.executable, script, pids, jobs], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == words and done.stderr == ""
    assert alive(pids) == []


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_what_started_it(sent: signal.Signals, script: Path) -> None:
    pids = script.with_name("pids")
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a suite in the background ignores Ctrl-C
    command = [sys.executable, script, pids, "waits waits"]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=heard)
    deadline = time.monotonic() + 60
    while (not pids.exists() or len(pids.read_text().split()) < 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(sent)
    started.wait(20)
    assert len(pids.read_text().split()) == 2 and gone(pids)

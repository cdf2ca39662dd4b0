"""SWAP, stochastic weight averaging in parallel: a large batch to get there, small ones apart, and their mean.

Gupta, Serrano and DeCoste (2020): (1) train with a large batch, until the training accuracy is near its end; (2) from
there each of several workers trains alone with a small batch, on the same data in an order of its own; (3) average
their weights and find BatchNorm's averages anew. The workers do not talk, so that (2) takes the time of one of them.
"""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.checks import seed_of, whole, within
from flatmin.core.errors import FlatminError
from flatmin.data.batches import Pair, epoch_seed, fixed_batches, pair_of
from flatmin.training.averaging import averaged
from flatmin.training.batch_statistics import reestimate_batch_norm
from flatmin.training.members import Member, claim, read, write
from flatmin.training.methods.method import Criterion
from flatmin.training.record_keeping import EpochRow
from flatmin.training.scores import Scores
from flatmin.training.settings import TrainingSettings
from flatmin.training.snapshots import snapshot_file, state_of
from flatmin.training.trainer import train
from flatmin.training.worker_processes import in_processes

Heard = Callable[[int | None, EpochRow], None]


@dataclass(frozen=True)
class Swapped:
    """What a SWAP leaves.

    Attributes:
        start: Where the large batch ended and all workers began.
        reached: Whether it ended by its training accuracy.
        workers: Where each worker ended.
        mean: Their mean.
    """

    start: Member
    reached: bool
    workers: tuple[Member, ...]
    mean: Member


@dataclass(frozen=True)
class _Small:
    """All that a worker needs, but its number."""

    network: nn.Module
    train_data: Pair
    test_data: Pair
    settings: TrainingSettings
    criterion: Criterion
    seed: int
    device: str
    threads: int
    folder: Path
    start: EpochRow

    def file(self, worker: int) -> Path:
        return self.folder / f"worker{worker}.ckpt"

    def train(self, worker: int, say: Callable[[EpochRow], None]) -> None:
        """Train one worker and leave it in its file, unless it is there."""
        if self.file(worker).exists():
            return
        checkpoint = self.folder / f"worker{worker}.unfinished.ckpt"
        device = torch.device(self.device)
        with _threads(self.threads):
            trained = train(
                copy.deepcopy(self.network),
                _moved(self.train_data, device),
                _moved(self.test_data, device),
                self.settings,
                seed=worker_seed(self.seed, worker),
                checkpoint=checkpoint,
                device=device,
                on_epoch=say,
                criterion=self.criterion,
            )
        _check_finite(f"worker {worker}", trained.rows[-1], self.start)
        write(self.file(worker), trained.state, trained.rows[-1])
        _remove_checkpoint(checkpoint, self.settings)


def worker_seed(seed: int, worker: int) -> int:
    """The seed of :func:`flatmin.training.train` for a worker, counted from 0, of a SWAP with ``seed``."""
    return epoch_seed(seed, worker)


def swap(
    network: nn.Module,
    train_data: Pair,
    test_data: Pair,
    large: TrainingSettings,
    small: TrainingSettings,
    *,
    workers: int = 4,
    stop_at: float | None = None,
    seed: int = 0,
    processes: int = 1,
    threads: int = 1,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    on_epoch: Heard = lambda worker, row: None,
    criterion: Criterion = cross_entropy,
) -> Swapped:
    """Train ``network`` (in place) with a large batch, then several copies with a small one; it ends as their mean.

    Worker k is :func:`flatmin.training.train` with ``small`` and the seed ``worker_seed(seed, k)``, from where the
    large batch ended, with a fresh optimiser. So one worker is a plain run, whose running averages are kept; of more,
    BatchNorm's averages are found anew on the training data as they are. What comes out does not depend on
    ``processes``, bit for bit on the CPU, and is the same if the run was killed and is called again with its
    ``folder``. Snapshots that the settings ask for are not kept.

    Args:
        network: The network where training starts. For several processes it and ``criterion`` must be of classes that
            can be imported, and a script must call this below ``if __name__ == "__main__":``.
        train_data: Training inputs (N, ...) and targets (N,), tensors on ``device``.
        test_data: Test inputs and targets, likewise.
        large: How phase 1 trains.
        small: How each worker trains.
        workers: How many there are.
        stop_at: Share of the training examples that are right, with the batch's BatchNorm statistics, at which phase 1
            ends, looked at after each epoch; ``None``, or one that is not reached, spends the epochs of ``large``.
        seed: Decides all orders and draws.
        processes: How many workers run at a time, each in a process; 1 runs them one after the other in this one.
        threads: Of torch for each worker, on a CPU.
        folder: Where an unfinished run is kept, and what is finished of it; the caller's to delete once the result is
            stored. The number of workers may grow from one call to the next. ``None`` keeps nothing.
        device: Where to train; several processes share one GPU.
        on_epoch: Called with every new row and the number of its worker, ``None`` in phase 1.
        criterion: The mean loss of a batch.

    Returns:
        All networks on the way with their accuracies.

    Raises:
        ResultsError: If the folder holds another run, is damaged or cannot be written.
        RuntimeError: If training diverges (:class:`Diverged`), or a worker fails.
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or the network cannot be sent to other processes.
        KeyboardInterrupt: If Ctrl-C stopped it.
        SystemExit: With status 143 if SIGTERM stopped it.

    Example:
        >>> x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        >>> network, data = torch.nn.Linear(4, 2), (x, (x[:, 0] > 0).long())
        >>> large, small = TrainingSettings(32, epochs=2), TrainingSettings(8, epochs=1)
        >>> found = swap(network, data, data, large, small, workers=2)
        >>> len(found.workers), bool(torch.equal(network.weight, found.mean.state["weight"]))
        (2, True)
    """
    for name, count in (("workers", workers), ("processes", processes), ("threads", threads)):
        whole(name, count, minimum=1)
    seed_of("seed", seed)
    if stop_at is not None:
        within("stop_at", stop_at, gt=0, le=1)
    device = torch.device(device)
    network.to(device)
    train_data, test_data = pair_of("train_data", train_data), pair_of("test_data", test_data)
    with nullcontext(folder) if folder else _temporary() as place:
        assert place is not None
        shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
        setup = {"seed": seed, "stop_at": stop_at, "network": shapes, "examples": len(train_data.targets)}
        claim(place, setup | {"large": large.described(), "small": small.described()})
        arguments = (network, train_data, test_data, large)
        start, reached = _started(place, *arguments, stop_at, seed, device, partial(on_epoch, None), criterion)
        network.load_state_dict(start.state)
        common = (network, train_data, test_data, small, criterion, seed, str(device), threads)
        phase = _Small(*common, place, start.row)
        if processes == 1:
            for worker in range(workers):
                phase.train(worker, partial(on_epoch, worker))
        else:
            _apart(phase, [k for k in range(workers) if not phase.file(k).exists()], processes, on_epoch)
        members = tuple(read(phase.file(worker))[0] for worker in range(workers))
    mean = _mean(network, members, train_data, test_data, large.evaluation_batch_size, criterion)
    return Swapped(start, reached, members, mean)


class Diverged(FlatminError, RuntimeError):
    """A training of a SWAP whose loss is no longer finite.

    Args:
        who: The large batch, or which worker.
        row: The last row of its record.
        start: That of the large batch, the same if it was this that diverged.
    """

    def __init__(self, who: str, row: EpochRow, start: EpochRow) -> None:
        super().__init__(who, row, start)
        self.who, self.row, self.start = who, row, start

    def __str__(self) -> str:
        return f"{self.who} diverged in epoch {self.row['epoch']:.0f}: take a smaller learning rate."


def _started(
    place: Path,
    network: nn.Module,
    train_data: Pair,
    test_data: Pair,
    settings: TrainingSettings,
    stop_at: float | None,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[EpochRow], None],
    criterion: Criterion,
) -> tuple[Member, bool]:
    """Where phase 1 ends, and whether by its accuracy."""
    file, checkpoint = place / "start.ckpt", place / "large.unfinished.ckpt"
    if file.exists():
        return read(file)
    trained = train(
        network,
        train_data,
        test_data,
        settings if stop_at is None else replace(settings, stop_at_accuracy=stop_at),
        seed=seed,
        checkpoint=checkpoint,
        device=device,
        on_epoch=on_epoch,
        criterion=criterion,
    )
    last, reached = trained.rows[-1], trained.status == "reached"
    _check_finite("the large batch", last, last)
    member = write(file, state_of(network), last, reached)
    _remove_checkpoint(checkpoint, settings)
    return member, reached


def _apart(phase: _Small, workers: list[int], processes: int, on_epoch: Heard) -> None:
    """Train workers in processes, which map one file of data and network."""
    file, cpu = phase.folder / "phase2.pt", torch.device("cpu")
    sent = replace(
        phase,
        network=copy.deepcopy(phase.network).cpu(),
        train_data=_moved(phase.train_data, cpu),
        test_data=_moved(phase.test_data, cpu),
    )
    try:
        _send(sent, file)
        in_processes(partial(_work, file), workers, processes=processes, heard=on_epoch, noun="worker")
    finally:
        file.unlink(missing_ok=True)


def _send(phase: _Small, file: Path) -> None:
    """Write what all workers need.

    Raises:
        ValueError: If the network or the loss cannot be written.
    """
    try:
        torch.save(phase, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"`network` and `criterion` must be of importable classes for several processes ({error}); set processes=1."
        ) from error


def _moved(pair: Pair, device: torch.device) -> Pair:
    return Pair(pair.inputs.to(device), pair.targets.to(device))


def _work(file: Path, worker: int, say: Callable[[EpochRow], None]) -> None:
    phase: _Small = torch.load(file, mmap=True, weights_only=False)
    phase.train(worker, say)


def _mean(
    network: nn.Module, members: tuple[Member, ...], train_data: Pair, test_data: Pair, size: int, criterion: Criterion
) -> Member:
    """The mean of the members, which the network becomes; of one, itself."""
    network.load_state_dict(averaged(member.state for member in members))
    if len(members) == 1:
        return members[0]
    batches = fixed_batches(*train_data, size)
    reestimate_batch_norm(network, batches)
    scores = Scores(batches, fixed_batches(*test_data, size), criterion)
    return Member(state_of(network), scores(network))


def _check_finite(who: str, row: EpochRow, start: EpochRow) -> None:
    """Check that a training did not diverge.

    Raises:
        Diverged: If it did.
    """
    if not row["train_loss"] < float("inf"):
        raise Diverged(who, row, start)


def _remove_checkpoint(checkpoint: Path, settings: TrainingSettings) -> None:
    for file in (checkpoint, *(snapshot_file(checkpoint, epoch) for epoch in settings.snapshots)):
        file.unlink(missing_ok=True)


@contextmanager
def _temporary() -> Iterator[Path]:
    with TemporaryDirectory(prefix="flatmin-swap-") as folder:
        yield Path(folder)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Ghost batch normalisation against arithmetic written out, and the plain network it trains."""

import copy
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin import Objective
from flatmin.core.cuts import cuts
from flatmin.data.batches import Pair
from flatmin.training import TrainingSettings, ghost_batch_norm, start_network, train, trainer
from flatmin.training.ghost_batches import GhostBatchNorm, ghosts

Data = tuple[Pair, Pair]
SHAPES = {nn.BatchNorm1d: (), nn.BatchNorm2d: (3, 2), nn.BatchNorm3d: (2, 3, 2)}
KINDS = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


@pytest.fixture(params=["one by one", "at once"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A call of the kernel for each ghost, as on a CPU, or one for all, as on a GPU with many."""
    if request.param == "at once":
        monkeypatch.setattr(GhostBatchNorm, "_one_by_one", GhostBatchNorm._at_once)
    return str(request.param)


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return 3 + 2 * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def layer(kind: Any, **options: Any) -> Any:
    made = kind(5, dtype=torch.float64, **options)
    if made.affine:
        made.weight.data, made.bias.data = drawn(5), drawn(5) - 1
    return made


def by_hand(inputs: Tensor, sizes: list[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Outputs, and mean and unbiased variance of each ghost, by sums over its examples and places."""
    outputs, means, variances = [], [], []
    shape = (1, 5) + (1,) * (inputs.ndim - 2)
    first = 0
    for size in sizes:
        ghost = inputs[first : first + size]
        first += size
        places = ghost.movedim(1, 0).reshape(5, -1)
        count = places.shape[1]
        mean = places.sum(1) / count
        squares = ((places - mean[:, None]) ** 2).sum(1)
        unit = (ghost - mean.view(shape)) / (squares.view(shape) / count + eps).sqrt()
        outputs.append(unit if weight is None else unit * weight.view(shape) + bias.view(shape))
        means.append(mean.detach())
        variances.append(squares.detach() / (count - 1))
    return torch.cat(outputs), means, variances


@KINDS
def test_each_ghost_has_mean_0_and_variance_1(kind: Any, way: str) -> None:
    normed = nn.Sequential(layer(kind, affine=False))
    assert ghost_batch_norm(normed, size=8) == 1
    outputs = normed(drawn(30, 5, *SHAPES[kind]))
    for first, last in [(0, 8), (8, 16), (16, 24), (24, 30)]:
        ghost = outputs[first:last].movedim(1, 0).reshape(5, -1)
        torch.testing.assert_close(ghost.mean(1), torch.zeros(5).double(), atol=1e-12, rtol=0)
        torch.testing.assert_close(ghost.var(1, correction=0), torch.ones(5).double(), atol=1e-4, rtol=0)
    whole = outputs.movedim(1, 0).reshape(5, -1)
    assert (whole.var(1, correction=0) - 1).abs().max() < 1e-4  # equal means and variances pool to the same


@KINDS
@pytest.mark.parametrize(("examples", "sizes"), [(24, [8, 8, 8]), (27, [8, 8, 11]), (29, [8, 8, 8, 5]), (12, [12])])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": 0.3}])
def test_a_step_equals_the_arithmetic_of_the_paper(
    kind: Any, examples: int, sizes: list[int], options: dict[str, Any], way: str
) -> None:
    ghostly, inputs = layer(kind, **options), drawn(examples, 5, *SHAPES[kind]).requires_grad_()
    ghost_batch_norm(ghostly, size=8)
    parts = [inputs, *ghostly.parameters()]
    expected, means, variances = by_hand(inputs, sizes, ghostly.weight, ghostly.bias)
    weights = drawn(*expected.shape)
    found = ghostly(inputs)
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad((of * weights).sin().sum(), parts, create_graph=True) for of in (found, expected)]
    torch.testing.assert_close(slopes[0], slopes[1])
    again = [torch.autograd.grad(sum(s.square().sum() for s in each), inputs)[0] for each in slopes]
    torch.testing.assert_close(again[0], again[1])
    if options.get("track_running_stats", True):
        m, mean, variance = options.get("momentum", 0.1), torch.zeros(5), torch.ones(5)
        for one, other in zip(means, variances, strict=True):
            mean, variance = (1 - m) * mean + m * one, (1 - m) * variance + m * other
        torch.testing.assert_close(ghostly.running_mean, mean)
        torch.testing.assert_close(ghostly.running_var, variance)
        assert int(ghostly.num_batches_tracked) == len(sizes)


def test_without_a_momentum_the_averages_are_the_mean_over_all_ghosts(way: str) -> None:
    ghostly = layer(nn.BatchNorm1d, momentum=None)
    ghost_batch_norm(ghostly, size=4)
    found: list[Any] = [[], []]
    for k in range(3):
        inputs = drawn(10 + k, 5)
        ghostly(inputs)
        for kept, new in zip(found, by_hand(inputs, [[4, 6], [4, 4, 3], [4, 4, 4]][k])[1:], strict=True):
            kept += new
    torch.testing.assert_close(ghostly.running_mean, torch.stack(found[0]).mean(0))
    torch.testing.assert_close(ghostly.running_var, torch.stack(found[1]).mean(0))
    assert int(ghostly.num_batches_tracked) == len(found[0]) == 8


@KINDS
def test_ghosts_as_large_as_the_batch_are_torchs_batch_norm_bit_for_bit(kind: Any, way: str) -> None:
    plain, ghostly = layer(kind).float(), layer(kind).float()
    ghost_batch_norm(ghostly, size=32)
    for examples in (32, 9):
        inputs = drawn(examples, 5, *SHAPES[kind], dtype=torch.float32)
        assert torch.equal(ghostly(inputs), plain(inputs))
    assert all(torch.equal(one, other) for one, other in zip(plain.buffers(), ghostly.buffers(), strict=True))


def test_no_ghost_is_smaller_than_half_of_one_or_larger_than_one_and_a_half() -> None:
    for size in range(2, 9):
        for examples in range(1, 60):
            sizes = ghosts(examples, size)
            assert sum(sizes) == examples and sizes[:-1] == [size] * (len(sizes) - 1)
            assert examples <= size / 2 or size / 2 < sizes[-1] <= 1.5 * size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_last_stay_last_and_16_bits_are_normalised_by_32(dtype: torch.dtype, way: str) -> None:
    ghostly = layer(nn.BatchNorm2d).float()
    ghost_batch_norm(ghostly, size=8)
    inputs = drawn(29, 5, 4, 4, dtype=dtype).contiguous(memory_format=torch.channels_last)
    outputs = ghostly(inputs)
    assert outputs.dtype == dtype and outputs.is_contiguous(memory_format=torch.channels_last)
    expected = by_hand(inputs.float(), [8, 8, 8, 5], ghostly.weight, ghostly.bias)[0]
    rounding = {torch.float32: 1e-5, torch.bfloat16: 0.06}[dtype]
    torch.testing.assert_close(outputs.float(), expected, atol=rounding, rtol=rounding)
    assert ghostly.running_mean.dtype == torch.float32


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6),
                         nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))  # fmt: skip


def trained_a_little(model: nn.Module) -> nn.Module:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(drawn(40, 1, 6, 6, dtype=torch.float32)), torch.arange(40) % 3).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("reading", ["batch", "running", "reestimate"])
def test_what_is_measured_is_the_plain_network(reading: str) -> None:
    ghostly = start_network(network, 1)
    assert ghost_batch_norm(ghostly, size=8) == 2
    plain = start_network(network, 2)
    plain.load_state_dict(trained_a_little(ghostly).state_dict())
    batches = [(drawn(30, 1, 6, 6, dtype=torch.float32), torch.arange(30) % 3)]
    found, expected = (Objective(one, F.cross_entropy, batches, batch_norm=reading) for one in (ghostly, plain))
    assert ghostly.training and float(found.value()) == float(expected.value())
    assert torch.equal(found.gradient(), expected.gradient())
    vector = torch.ones(found.size)
    assert torch.equal(found.hvp(vector), expected.hvp(vector))


def test_without_running_averages_the_whole_batch_is_normalised_in_evaluation() -> None:
    ghostly, inputs = layer(nn.BatchNorm1d, track_running_stats=False), drawn(30, 5)
    expected = ghostly(inputs)
    ghost_batch_norm(ghostly, size=8)
    assert torch.equal(ghostly.eval()(inputs), expected)


def test_the_layers_stay_the_objects_they_are() -> None:
    shared, seen = nn.BatchNorm1d(4), []
    model = nn.Sequential(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared)
    shared.register_forward_hook(lambda *args: seen.append(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    keys, before = list(model.state_dict()), shared.weight.detach().clone()
    assert ghost_batch_norm(model, size=8) == 1 and model[1] is model[3] is shared
    assert isinstance(shared, nn.BatchNorm1d) and "ghost_size=8" in repr(shared)
    model(torch.randn(24, 4)).square().sum().backward()
    optimizer.step()
    assert len(seen) == 2 and int(shared.num_batches_tracked) == 6
    assert list(model.state_dict()) == keys and not torch.equal(shared.weight, before)


def test_a_second_call_changes_what_is_not_so_yet() -> None:
    model = network()
    counts = [ghost_batch_norm(model, size=size) for size in (8, 8, 16)] + [ghost_batch_norm(nn.Linear(2, 2))]
    assert counts == [2, 0, 2, 0] and model[1].ghost_size == model[5].ghost_size == 16


def test_copies_and_files_keep_the_ghosts() -> None:
    model = network()
    ghost_batch_norm(model, size=8)
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    for other in (copy.deepcopy(model), torch.load(stream, weights_only=False)):
        other(torch.randn(24, 1, 6, 6))
        assert int(other[1].num_batches_tracked) == 3


class Own(nn.BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        return input


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Own(3), r"the layer '1', a Own, cannot have ghosts: only torch's BatchNorm1d, 2d and 3d can\."),
        (nn.SyncBatchNorm(3), r"the layer '1', a SyncBatchNorm, cannot have ghosts"),
        (nn.LazyBatchNorm1d(), r"the layer '1', a LazyBatchNorm1d, does not know its channels yet; call the network"),
    ],
    ids=["own", "sync", "lazy"],
)
def test_what_cannot_have_ghosts_is_refused_before_anything_changes(other: nn.Module, words: str) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), other)
    with pytest.raises(ValueError, match=words):
        ghost_batch_norm(model)
    assert type(model[0]) is nn.BatchNorm1d


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ghost_batch_norm(3), TypeError, "`model` must be a torch module, got int"),  # type: ignore[arg-type]
        (lambda: ghost_batch_norm(network(), size=1), ValueError, "`size` must be at least 2, got 1"),
        (lambda: ghost_batch_norm(network(), size=2.5), TypeError, "`size` must be an int, got float"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_told(call: Callable[[], int], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


class Killed(Exception):
    pass


def test_a_run_with_ghosts_stopped_and_resumed_ends_the_same(
    fresh: Callable[[], nn.Module], data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)

    def ghostly() -> nn.Module:
        model = fresh()
        assert ghost_batch_norm(model, size=8) == 1
        return model

    def killed(row: dict[str, float]) -> None:
        if row["epoch"] == 3:
            raise Killed

    settings, checkpoint = TrainingSettings(25, epochs=4, learning_rate=1e-2), tmp_path / "run.ckpt"
    expected = train(ghostly(), *data, settings)
    with pytest.raises(Killed):
        train(ghostly(), *data, settings, checkpoint=checkpoint, on_epoch=killed)
    found = train(ghostly(), *data, settings, checkpoint=checkpoint)
    assert found.rows == expected.rows and found.epochs == 4
    assert all(torch.equal(found.state[name], expected.state[name]) for name in expected.state)
    counted = sum(math.floor((b - a) / 8 + 0.49) for a, b in cuts(50, 25)) * 4
    assert int(found.state["1.num_batches_tracked"]) == counted

"""Batches as loaders give them, what they weigh, and which answers are right."""

import math
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from flatmin import slice_1d
from flatmin.objective.objective import Objective

INPUTS = torch.rand(32, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES = torch.randint(3, (32,), generator=torch.Generator().manual_seed(1))
IGNORED = CLASSES.masked_fill(torch.arange(32) < 9, -100)
WORDS = torch.randint(1, 9, (32, 6), generator=torch.Generator().manual_seed(2))
WEIGHT = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Linear(4, 3).double()


def binary() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).double()


def cut(inputs: Any, targets: Any, *edges: int) -> list[Any]:
    return [(inputs[a:b], targets[a:b]) for a, b in pairwise([0, *edges, len(targets)])]


TORCHS_OWN = {
    "ignore_index": (F.cross_entropy, IGNORED),
    "another ignore_index": (partial(F.cross_entropy, ignore_index=1), CLASSES),
    "class weights": (partial(F.cross_entropy, weight=WEIGHT), CLASSES),
    "class weights in float32": (partial(F.cross_entropy, weight=WEIGHT.float()), CLASSES),
    "module": (nn.CrossEntropyLoss(weight=WEIGHT.float(), ignore_index=2, label_smoothing=0.1), IGNORED.abs() % 3),
    "probabilities": (F.cross_entropy, F.one_hot(CLASSES, 3).double()),
    "sum": (partial(F.cross_entropy, reduction="sum"), IGNORED),
    "none": (nn.CrossEntropyLoss(reduction="none"), IGNORED),
    "entries": (F.mse_loss, INPUTS[:, :3]),
    "sums of entries": (nn.MSELoss(reduction="sum"), INPUTS[:, :3]),
    "huber": (partial(F.huber_loss, delta=0.3), INPUTS[:, :3]),
}


@pytest.mark.parametrize("kind", TORCHS_OWN)
def test_the_cut_into_batches_does_not_matter(kind: str) -> None:
    loss, targets = TORCHS_OWN[kind]
    whole, parts, ones = (
        Objective(network(), loss, cut(INPUTS, targets, *edges)) for edges in ((), (3, 8, 20), range(1, 32))
    )
    vector = torch.linspace(-1, 1, 15, dtype=torch.float64)
    assert whole.cautions == ()
    for other in (parts, ones):
        torch.testing.assert_close(other.value(), whole.value(), rtol=1e-12, atol=0)
        torch.testing.assert_close(other.gradient(), whole.gradient(), rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(other.hvp(vector), whole.hvp(vector), rtol=1e-10, atol=1e-14)
    if isinstance(loss, partial) and loss.keywords.get("reduction") == "sum":
        torch.testing.assert_close(whole.value(), F.cross_entropy(network()(INPUTS), IGNORED).detach())


def test_padded_tokens_weigh_nothing() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.Embedding(9, 5), nn.Linear(5, 9)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return SimpleNamespace(logits=self.out(self.words(input_ids) * attention_mask[..., None]))

    lengths = torch.arange(32) % 5 + 1
    mask = torch.arange(6) < lengths[:, None]
    labels = WORDS.masked_fill(~mask, -100)

    def tokens(outputs: Any, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.logits.flatten(0, 1), targets.flatten())

    def batches(*edges: int) -> list[dict[str, Tensor]]:
        ends = [0, *edges, 32]
        return [
            {"input_ids": WORDS[a:b], "attention_mask": mask[a:b], "labels": labels[a:b]} for a, b in pairwise(ends)
        ]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Language().double()
    count = lambda inputs, targets: (targets != -100).sum()  # noqa: E731
    unaware = Objective(model, tokens, batches())
    assert any("weights=" in caution for caution in unaware.cautions)
    one, many = (Objective(model, tokens, batches(*edges), weights=count) for edges in ((), (3, 11, 30)))
    torch.testing.assert_close(many.value(), one.value(), rtol=1e-12, atol=0)
    accuracy = many.evaluate().accuracy
    hits = (model(WORDS, mask).logits.argmax(-1) == WORDS)[mask]
    assert accuracy == pytest.approx(float(hits.double().mean()), abs=1e-12) == one.evaluate().accuracy

    def step(model: nn.Module, batch: dict[str, Tensor]) -> Any:
        out = model(batch["input_ids"], batch["attention_mask"])
        return {"loss": tokens(out, batch["labels"]), "logits": out.logits}

    own = Objective.of(model, step, batches(3, 11, 30), weights=lambda batch: (batch["labels"] != -100).sum())
    torch.testing.assert_close(own.value(), one.value(), rtol=1e-12, atol=0)
    assert own.evaluate().accuracy == pytest.approx(accuracy, abs=1e-12)
    torch.testing.assert_close(own.gradient(), one.gradient())


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss(), partial(F.cross_entropy, weight=WEIGHT)])
def test_a_batch_whose_targets_are_all_ignored_weighs_nothing(loss: Any) -> None:
    objective = Objective(network(), loss, cut(INPUTS, IGNORED, 5, 9))
    rest = Objective(network(), loss, [(INPUTS[9:], CLASSES[9:])])
    torch.testing.assert_close(objective.value(), rest.value())
    with pytest.raises(ValueError, match="every batch weighs nothing: all targets are ignored"):
        Objective(network(), loss, [(INPUTS, torch.full((32,), -100))])


@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "expected"),
    [
        (torch.eye(3)[CLASSES], IGNORED, F.cross_entropy, 1.0),
        (torch.eye(3)[CLASSES], F.one_hot(CLASSES, 3).float(), F.cross_entropy, 1.0),
        (torch.eye(3)[CLASSES].unsqueeze(2).expand(-1, -1, 5), CLASSES[:, None].expand(-1, 5), F.cross_entropy, 1.0),
        ((CLASSES > 0).float() * 2 - 1, (CLASSES > 0).float(), F.binary_cross_entropy_with_logits, 1.0),
        (
            (CLASSES > 0) * 0.8 + 0.1,
            (CLASSES > 1).float(),
            F.binary_cross_entropy,
            float((CLASSES != 1).float().mean()),
        ),
        (torch.rand(32, 3), torch.rand(32, 3), F.mse_loss, math.nan),
    ],
    ids=["ignored", "one-hot", "dense", "logits", "probabilities", "regression"],
)
def test_right_answers_are_known_by_the_loss(outputs: Tensor, targets: Tensor, loss: Any, expected: float) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, rows: Tensor) -> Tensor:
            return outputs[rows] * self.scale

    found = Objective(Table(), loss, cut(torch.arange(32), targets, 5)).evaluate().accuracy
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_loaders_give_batches_in_many_forms() -> None:
    weights = torch.rand(32, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    plain = float(Objective(network(), F.cross_entropy, [(INPUTS, CLASSES)]).value())
    loader = DataLoader(TensorDataset(INPUTS, CLASSES), batch_size=5)
    assert float(Objective(network(), F.cross_entropy, loader).value()) == pytest.approx(plain)

    def weighed(outputs: Tensor, targets: Tensor, w: Tensor) -> Tensor:
        return (F.cross_entropy(outputs, targets, reduction="none") * w).sum() / w.sum()

    triples = DataLoader(TensorDataset(INPUTS, CLASSES, weights), batch_size=5)
    by_weight = Objective(network(), weighed, triples, weights=[float(w.sum()) for w in weights.split(5)])
    expected = weighed(network()(INPUTS), CLASSES, weights).detach()
    assert float(by_weight.value()) == pytest.approx(float(expected), rel=1e-12)

    coder = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4)).double()
    alone = DataLoader(TensorDataset(INPUTS), batch_size=5)
    for batches in (alone, [INPUTS[:20], INPUTS[20:]]):
        value = float(Objective(coder, F.mse_loss, batches).value())
        assert value == pytest.approx(float(F.mse_loss(coder(INPUTS), INPUTS).detach()), rel=1e-12)


def test_a_loader_that_writes_into_its_last_batch_is_refused() -> None:
    held = torch.zeros(8, 4)

    class Reuse:
        def __iter__(self) -> Any:
            for k in range(4):
                yield held.copy_(INPUTS[8 * k : 8 * k + 8].float()), CLASSES[8 * k : 8 * k + 8]

    with pytest.raises(ValueError, match="`batches` writes every batch into the tensors of the one before"):
        Objective(network(), F.cross_entropy, Reuse())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [1.0]}, ValueError, r"`weights` must hold one number a batch, 2, got 1"),
        ({"weights": [1.0, -1.0]}, ValueError, r"`weights` must be finite and not negative, got -1\.0"),
        ({"weights": [0.0, 0.0]}, ValueError, "every batch weighs nothing"),
        ({"select": ["layer.*"]}, ValueError, r"`select` names nothing in `model` by 'layer\.\*'; its parameters are"),
        ({"select": "weight"}, TypeError, "`select` must be a list of names or patterns, got 'weight'"),
        ({"select": []}, ValueError, "`select` must name at least one parameter or layer"),
        ({"hvp": "fd"}, ValueError, "`hvp` must be one of 'exact', 'finite_difference', got 'fd'"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Objective(network(), F.cross_entropy, cut(INPUTS, CLASSES, 9), **options)


def test_selected_parameters_move_and_all_others_stay() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    model[0].requires_grad_(False)
    last = Objective(model, F.cross_entropy, [(INPUTS, CLASSES)], select=["2"])
    weight = Objective(model, F.cross_entropy, [(INPUTS, CLASSES)], select=["*.weight"])
    every = Objective(model, F.cross_entropy, [(INPUTS, CLASSES)], select=["*"])
    assert (list(last.shapes), list(weight.shapes)) == (["2.weight", "2.bias"], ["0.weight", "2.weight"])
    assert last.size == 18 and every.size == 43
    part = every.restricted(["2"])
    theta = last.theta + 0.3
    vector = torch.linspace(-1, 1, 18, dtype=torch.float64)
    assert torch.equal(part.theta, last.theta) and part.shapes == last.shapes
    torch.testing.assert_close(part.value(theta), last.value(theta))
    torch.testing.assert_close(part.gradient(theta), last.gradient(theta))
    torch.testing.assert_close(part.hvp(vector, theta), last.hvp(vector, theta))
    assert slice_1d(part, vector, [0.0, 1.0]).loss.tolist() == pytest.approx(
        slice_1d(last, vector, [0.0, 1.0]).loss.tolist()
    )
    with pytest.raises(ValueError, match="`select` names nothing"):
        every.restricted(["3"])


def test_metrics_are_means_over_examples_in_slices_too() -> None:
    metrics = {"margin": lambda out, y: out.topk(2).values.diff(dim=1).mean(), "entropy": lambda out, y: -1.0}
    objective = Objective(network(), F.cross_entropy, cut(INPUTS, CLASSES, 5, 20), metrics=metrics)
    loss, accuracy = objective.evaluate()
    assert objective.evaluate().metrics["margin"] == pytest.approx(
        float(network()(INPUTS).topk(2).values.diff(dim=1).mean().detach()), rel=1e-12
    )
    line = slice_1d(objective, objective.theta, [0.0, 1.0])
    assert dict(line.metrics)["margin"][0] == pytest.approx(objective.evaluate().metrics["margin"])
    assert line.to_frame()["entropy"].tolist() == [-1.0, -1.0]
    assert line.plot(quantity="margin").get_ylabel() == "margin"
    with pytest.raises(ValueError, match="`quantity` must be one of 'loss', 'accuracy', 'margin', 'entropy', got 'x'"):
        line.plot(quantity="x")
    assert (loss, accuracy) == tuple(objective.evaluate())

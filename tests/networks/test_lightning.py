"""The six networks in a Trainer of the user's own."""

from typing import Any

import numpy as np
import pytest
import torch
from own_trainer import ADVICE, own_trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from flatmin import networks

pytestmark = ADVICE
NAMES = ("F1", "F2", "C1", "C2", "C3", "C4")
SMALL: dict[str, dict[str, Any]] = {"F1": {"width": 4}, "F2": {"width": 4}}


def lightning(name: str, **settings: Any) -> Any:
    return getattr(networks, f"Lightning{name}")(**{**SMALL.get(name, {}), **settings})


def loader(name: str, count: int = 7, batch_size: int = 4) -> "DataLoader[Any]":
    plain = getattr(networks, name)()
    shape = plain.input_shape
    inputs = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(inputs, torch.arange(count) % 3), batch_size=batch_size)


@pytest.mark.parametrize("name", NAMES)
def test_a_trainer_takes_it_fits_validates_tests_predicts_saves_and_loads(name: str, tmp_path: Any) -> None:
    network, data = lightning(name, learning_rate=0.01), loader(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    mine = own_trainer(tmp_path)
    mine.fit(network, data, data)
    assert {"train_loss", "val_loss", "val_acc"} <= set(mine.callback_metrics)
    assert any(not torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert set(mine.test(network, data, verbose=False)[0]) == {"test_loss", "test_acc"}
    predicted = torch.cat(mine.predict(network, data))  # type: ignore[arg-type]
    assert predicted.shape == (7, getattr(networks, name)().layers[-1].out_features)
    mine.save_checkpoint(tmp_path / "it.ckpt")
    again = type(network).load_from_checkpoint(tmp_path / "it.ckpt", map_location="cpu", weights_only=True)
    assert again.hparams == network.hparams and again.hparams["learning_rate"] == 0.01
    assert torch.equal(torch.cat(mine.predict(again, data)), predicted)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_weights_and_outputs_of_the_plain_network(name: str) -> None:
    options = SMALL.get(name, {})
    torch.manual_seed(3)
    plain = getattr(networks, name)(**options).eval()
    torch.manual_seed(3)
    network = lightning(name).eval()
    inputs = next(iter(loader(name)))[0]
    assert torch.equal(network(inputs), plain(inputs))


@pytest.mark.parametrize(("name", "strides"), [("C1", {1, 2}), ("C3", {1, 2})])
def test_both_variants_of_c1_and_c3(name: str, strides: set[int]) -> None:
    def stride(variant: str) -> int:
        return int(next(m for m in lightning(name, variant=variant).modules() if isinstance(m, nn.Conv2d)).stride[0])

    assert {stride("code"), stride("paper")} == strides


def test_what_is_logged_is_the_mean_over_examples_not_over_batches(tmp_path: Any) -> None:
    network, data = lightning("F1"), loader("F1")
    (found,) = own_trainer(tmp_path).validate(network, data, verbose=False)
    inputs, targets = data.dataset.tensors  # type: ignore[attr-defined]
    scores = network.eval()(inputs).detach().double().numpy()
    losses = np.log(np.exp(scores).sum(1)) - scores[range(7), targets]
    assert found["val_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["val_acc"] == pytest.approx((scores.argmax(1) == targets.numpy()).mean())


def test_images_of_bytes_are_divided_by_255() -> None:
    network = lightning("F1").eval()
    image = torch.arange(784, dtype=torch.uint8).reshape(1, 28, 28)
    assert torch.equal(network(image), network(image.float() / 255))


@pytest.mark.parametrize(
    ("optimizer", "kind", "settings"),
    [
        ("adam", torch.optim.Adam, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
        ("adagrad", torch.optim.Adagrad, {}),
    ],
)
def test_optimizers_by_name(optimizer: str, kind: type, settings: dict[str, float]) -> None:
    found = lightning("F1", optimizer=optimizer, learning_rate=0.3, **settings).configure_optimizers()
    assert type(found) is kind and found.defaults["lr"] == 0.3
    assert found.defaults.get("momentum", 0.0) == settings.get("momentum", 0.0)


@pytest.mark.parametrize(
    ("name", "settings", "kind", "message"),
    [
        ("F1", {"optimizer": "lion"}, ValueError, "`optimizer` must be one of 'adam', 'sgd', 'adagrad', 'lars'"),
        ("F1", {"learning_rate": 0.0}, ValueError, "`learning_rate` must be positive, got 0.0"),
        ("F1", {"momentum": 0.9}, ValueError, "`momentum` must be 0 with 'adam', got 0.9; only 'sgd', 'lars' and"),
        ("F1", {"num_classes": 0}, ValueError, "`num_classes` must be at least 1, got 0"),
        ("C2", {"variant": "paper"}, TypeError, "LightningC2 has no option 'variant'; C2's: none"),
        ("C1", {"width": 9}, TypeError, "LightningC1 has no option 'width'; C1's: variant"),
        ("C1", {"variant": "text"}, ValueError, "`variant` must be one of 'code', 'paper', got 'text'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_at_once(name: str, settings: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        lightning(name, **settings)


@pytest.mark.parametrize(
    ("batch", "got"), [({"x": 1}, "dict"), ((torch.ones(1), torch.ones(1), torch.ones(1)), "Tensor"), (3, "int")]
)
def test_a_batch_of_another_form_is_named(batch: Any, got: str) -> None:
    with pytest.raises(TypeError, match=f"a batch must be \\(inputs, targets\\), two tensors, got .*{got}"):
        lightning("F1").training_step(batch, 0)


def test_inputs_alone_are_predicted(tmp_path: Any) -> None:
    inputs: Tensor = torch.rand(5, 1, 28, 28)
    (found,) = own_trainer(tmp_path).predict(lightning("F1"), DataLoader(inputs, batch_size=5))  # type: ignore
    assert found.shape == (5, 10)

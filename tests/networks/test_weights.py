"""Weights from the files that people have, into a network; code in a file never runs."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from own_trainer import ADVICE, own_trainer
from torch import nn

from flatmin.core.errors import CheckpointError
from flatmin.networks import F1, LightningF1
from flatmin.networks.weights import load_weights

pytestmark = ADVICE


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(1)
    network = build()
    network(torch.randn(9, 3))
    return network


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def prefixed(state: Any, prefix: str) -> dict[str, Any]:
    return {prefix + name: tensor for name, tensor in state.items()}


FORMS: dict[str, Any] = {
    "plain": lambda state: state,
    "DataParallel": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "DataParallel of compiled": lambda state: prefixed(state, "module._orig_mod."),
    "Lightning": lambda state: {"state_dict": prefixed(state, "model."), "epoch": 3, "hyper_parameters": {"lr": 0.1}},
    "Lightning, compiled inside": lambda state: {"state_dict": prefixed(state, "network._orig_mod.")},
    "training loop": lambda state: {"model_state_dict": state, "epoch": 4, "optimizer": {"state": {}}},
    "under model": lambda state: {"model": prefixed(state, "module."), "args": {"lr": 1}},
    "without counters": lambda state: {name: t for name, t in state.items() if "num_batches" not in name},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_every_form_of_a_file_is_read(form: Any, suffix: str, trained: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    torch.save(form(trained.state_dict()), path)
    network: Any = build()
    network[1].num_batches_tracked.fill_(1)  # as in the trained one, for the form that has none
    load_weights(network, path)
    assert same(network, trained)


def test_safetensors_are_read(trained: nn.Module, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(prefixed(trained.state_dict(), "module."), tmp_path / "it.safetensors")
    network = build()
    load_weights(network, tmp_path / "it.safetensors")
    assert same(network, trained)


def test_without_safetensors_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "it.safetensors").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(CheckpointError, match=r"needs safetensors: pip install 'flatmin\[safetensors\]'"):
        load_weights(build(), tmp_path / "it.safetensors")


def test_a_checkpoint_of_lightning_fits_the_plain_network(tmp_path: Path) -> None:
    trainer, network = own_trainer(tmp_path, max_epochs=0), LightningF1(width=4)
    trainer.strategy.connect(network)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    plain = F1(width=4)
    load_weights(plain, tmp_path / "it.ckpt")
    assert same(plain, network.network)


def test_a_checkpoint_that_does_not_fit_names_the_options_it_was_built_with(tmp_path: Path) -> None:
    trainer, network = own_trainer(tmp_path, max_epochs=0), LightningF1(width=4)
    trainer.strategy.connect(network)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    with pytest.raises(CheckpointError, match=r"does not fit the network; .* Its hyper_parameters: .*width=4"):
        load_weights(F1(width=5), tmp_path / "it.ckpt")


def test_prefixes_that_belong_to_the_network_stay(trained: nn.Module, tmp_path: Path) -> None:
    torch.save(prefixed(trained.state_dict(), "model."), tmp_path / "it.pt")
    network = nn.ModuleDict({"model": build()})
    load_weights(network, tmp_path / "it.pt")
    assert same(network["model"], trained)


class Code:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_file_does_not_run(how: str, trained: nn.Module, tmp_path: Path) -> None:
    content = {"state_dict": trained.state_dict(), "extra": Code(tmp_path / "ran")}
    path = tmp_path / "it.pt"
    torch.save(content, path) if how == "torch" else path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"it\.pt holds (more than weights|no weights)"):
        load_weights(build(), path)
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_network_is_refused_with_the_way_out(trained: nn.Module, tmp_path: Path) -> None:
    torch.save(trained, tmp_path / "it.pt")
    with pytest.raises(CheckpointError, match=r"more than weights .*never run; save model.state_dict\(\) alone"):
        load_weights(build(), tmp_path / "it.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {k: v for k, v in state.items() if k != "3.bias"}, "missing in the file: 3.bias"),
        (lambda state: {**state, "4.bias": torch.ones(2)}, "unknown to the network: 4.bias"),
        (
            lambda state: {**state, "3.bias": torch.ones(5)},
            "another shape: 3.bias \\(5 in the file, 2 in the network\\)",
        ),
        (lambda state: prefixed(state, "encoder."), "missing in the file: 0.weight, 0.bias, 1.weight and 5 more"),
        (lambda state: {"epoch": 3, "lr": 0.1}, "must hold a state dict.*got a dict with epoch, lr"),
        (lambda state: {}, "got an empty dict"),
        (lambda state: [1, 2], "got list"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, message: str, trained: nn.Module, tmp_path: Path) -> None:
    torch.save(change(trained.state_dict()), tmp_path / "it.pt")
    network = build()
    before = [tensor.clone() for tensor in network.state_dict().values()]
    with pytest.raises(CheckpointError, match=message):
        load_weights(network, tmp_path / "it.pt")
    assert all(map(torch.equal, network.state_dict().values(), before))


@pytest.mark.parametrize("name", ["it.pt", "it.ckpt", "it.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(200), bytes(100)])
def test_a_damaged_file_is_said_to_be_so_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_weights(build(), tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("path", ["none.pt", "."])
def test_a_file_that_is_not_there_is_named(path: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        load_weights(build(), tmp_path / path)


@pytest.mark.parametrize("other", [torch.complex64, torch.int64])
def test_weights_of_another_sort_are_refused_by_name(other, tmp_path):
    network = nn.Linear(3, 2)
    path = tmp_path / "odd.pt"
    torch.save({name: tensor.to(other) for name, tensor in network.state_dict().items()}, path)
    with pytest.raises(CheckpointError, match=r"does not fit the network: weight is \w+ in the file, float32 in the"):
        load_weights(network, path)


def test_a_file_that_unpacks_to_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    with pytest.raises(CheckpointError, match="is compressed, to 1,000,000 bytes unpacked"):
        load_weights(nn.Linear(3, 2), path)


def test_names_that_a_terminal_would_obey_are_shown_plainly(tmp_path):
    path = tmp_path / "names.pt"
    torch.save({"\x1b[31mred\n": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"\\x1b\[31mred\\n") as caught:
        load_weights(nn.Linear(3, 2), path)
    assert str(caught.value).isprintable()

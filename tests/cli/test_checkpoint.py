"""``flatmin measure`` and ``flatmin slice``: a network in a file, as its owner has it."""

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from own_trainer import ADVICE, own_trainer
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from flatmin import Objective, epsilon_sharpness
from flatmin.figures.sliced import line_figure
from flatmin.networks import LightningF1

pytestmark = ADVICE

MODELS = """
import numpy, torch
from torch import nn

def mlp(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))

def not_a_network():
    return 3

def raising():
    raise KeyError("no")

def inputs(n=12):
    return torch.arange(3.0 * n).reshape(n, 3).sin(), torch.arange(n) % 2

def batches():
    return [tuple(part[a:a + 5] for part in inputs()) for a in (0, 5, 10)]

def loader():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*inputs()), batch_size=5)

def examples():
    return torch.utils.data.TensorDataset(*inputs())

def arrays():
    return [part.numpy() for part in inputs()]

def train_and_test():
    return inputs(), inputs(8)

def real():
    return inputs()[0], inputs()[0][:, :2]

def breaking():
    yield inputs()
    raise OSError("no disk")

def dicts():
    return [{"x": 1}]

def wide():
    return torch.zeros(5, 7), torch.zeros(5, dtype=torch.int64)

def half(outputs, targets):
    return 0.5 * nn.functional.cross_entropy(outputs, targets)
"""
QUICK = ("--epsilon", "1e-3")


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def inputs(n: int = 12) -> Any:
    return torch.arange(3.0 * n).reshape(n, 3).sin(), torch.arange(n) % 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one.pt", "two.pt")):
        torch.manual_seed(seed)
        torch.save({f"module.{key}": tensor for key, tensor in mlp().state_dict().items()}, name)
    return tmp_path


def network(name: str = "one.pt") -> nn.Module:
    found = mlp()
    found.load_state_dict({key.removeprefix("module."): tensor for key, tensor in torch.load(name).items()})
    return found


@pytest.mark.parametrize(
    "data", ["batches", "loader", "examples", "arrays", "train_and_test"], ids=lambda data: f"data as {data}"
)
def test_a_measure_is_that_of_the_network_in_the_file(data: str, folder: Path, flatmin: Any) -> None:
    said = flatmin("measure", "one.pt", "--network", "models.py:mlp", "--data", f"models.py:{data}", "--json")
    assert (said.status, said.err) == (0, "")
    (row,) = json.loads(said.out)["measures"]
    expected = epsilon_sharpness(Objective(network(), cross_entropy, [inputs()]))
    assert row["value"] == pytest.approx(float(expected), rel=1e-4)
    assert row["measure"] == "epsilon_sharpness" and row["converged"] is True and row["evaluations"] > 0


def test_a_lightning_checkpoint_and_safetensors_of_a_known_network(tmp_path: Path, flatmin: Any) -> None:
    torch.manual_seed(0)
    module = LightningF1(input_shape=(1, 8, 8), width=4)
    trainer = own_trainer(tmp_path, max_epochs=0)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    pytest.importorskip("safetensors.torch").save_file(module.network.state_dict(), tmp_path / "it.safetensors")
    rest = (
        "--network",
        "F1",
        "--with",
        "width=4",
        "--data",
        "digits",
        "--examples",
        "300",
        "--measure",
        "average_case",
    )
    values = []
    for name in ("it.ckpt", "it.safetensors"):
        said = flatmin("measure", tmp_path / name, *rest, "--json")
        assert (said.status, said.err) == (0, "")
        values.append([(row["measure"], row["value"]) for row in json.loads(said.out)["measures"]])
    assert values[0] == values[1] and {name for name, _ in values[0]} == {
        "average_case_sigma_0.001_absolute",
        "average_case_sigma_0.01_absolute",
    }


@pytest.mark.parametrize("measure", ["top_eigenvalue", "average_case", "hessian_trace"])
def test_a_measure_without_a_worst_point_is_not_cautioned_of_one(folder: Path, flatmin: Any, measure: str) -> None:
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--examples", "7")
    assert "worst point" not in flatmin("measure", "one.pt", *arguments, "--measure", measure).out


def test_the_table_says_what_it_rests_on_and_what_to_know(folder: Path, flatmin: Any) -> None:
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--examples", "7")
    said = flatmin("measure", "one.pt", *arguments, "--output", "table.csv")
    for words in (
        "epsilon_sharpness",
        "26 weights of one.pt",
        "7 of 12 examples in 2 batches",
        "the network has none",
        "caution: taken on 7 of 12 examples, epsilon_sharpness is biased upwards: the worst point is theirs",
    ):
        assert words in said.out
    (row,) = csv.DictReader((folder / "table.csv").read_text().splitlines())
    assert [*row] == ["measure", "value", "standard_error", "converged", "evaluations", "seconds"]


@pytest.mark.parametrize(
    ("arguments", "loss"),
    [
        (("--data", "models.py:real"), lambda: (mse_loss, [(inputs()[0], inputs()[0][:, :2])])),
        (("--data", "models.py:arrays", "--loss", "models.py:half"), lambda: (half, [inputs()])),
        (("--data", "models.py:train_and_test", "--on", "test"), lambda: (cross_entropy, [inputs(8)])),
        (("--data", "models:arrays"), lambda: (cross_entropy, [inputs()])),
    ],
    ids=["real targets", "a loss of one's own", "test", "a module in this folder"],
)
def test_loss_and_data_are_those_that_are_named(arguments: Any, loss: Any, folder: Path, flatmin: Any) -> None:
    said = flatmin("slice", "one.pt", "--network", "models.py:mlp", *arguments, "--points", 3, "--json")
    assert said.status == 0, said.err
    assert json.loads(said.out)["slice"]["loss"][1] == pytest.approx(float(Objective(network(), *loss()).value()))


def half(outputs: Any, targets: Any) -> Any:
    return cross_entropy(outputs, targets) / 2


def test_a_path_runs_from_one_file_to_the_other(folder: Path, flatmin: Any) -> None:
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--points", "5", "--span", "0.5")
    said = flatmin("slice", "one.pt", "--to", "two.pt", *arguments, "--output", "p.csv", "--save", "p.npz")
    assert (said.status, said.err) == (0, "")
    rows = [*csv.DictReader((folder / "p.csv").read_text().splitlines())]
    assert [float(row["alpha"]) for row in rows] == [-0.5, 0, 0.5, 1, 1.5]
    ends = [float(Objective(network(name), cross_entropy, [inputs()]).value()) for name in ("one.pt", "two.pt")]
    assert [float(rows[1]["loss"]), float(rows[3]["loss"])] == pytest.approx(ends, rel=1e-6)
    with np.load(folder / "p.npz", allow_pickle=False) as kept:
        assert kept["loss"].tolist() == pytest.approx([float(row["loss"]) for row in rows])


@pytest.mark.parametrize("points", [2, 3, 8, 11, 25])
@pytest.mark.parametrize("span", [0.3, 1.0])
def test_the_networks_are_always_among_the_points(points: int, span: float, folder: Path, flatmin: Any) -> None:
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--points", points, "--span", span)
    ends = [float(Objective(network(name), cross_entropy, [inputs()]).value()) for name in ("one.pt", "two.pt")]
    for to in ((), ("--to", "two.pt")):
        said = flatmin("slice", "one.pt", *to, *arguments, "--json")
        found = json.loads(said.out)["slice"]
        at = dict(zip(found["alphas"], found["loss"], strict=True))
        assert [at[float(place)] for place in range(1 + bool(to))] == pytest.approx(ends[: 1 + bool(to)], rel=1e-6)
        assert np.diff(found["alphas"]).min() > 0.01 and points <= len(at) <= points + 2
        said = flatmin("slice", "one.pt", *to, *arguments)
        shown = {line.split("│")[1].strip() for line in said.out.splitlines() if "│" in line}
        assert {"0", "1.000"} <= shown if to else "0" in shown


def test_the_figure_of_a_path_marks_both_networks() -> None:
    rows = pd.DataFrame({"alpha": [-1.0, 0.0, 1.0], "loss": [1.0, 2.0, 3.0], "accuracy": [np.nan] * 3})
    axes = line_figure(rows, [], "loss", {"small.pt": 0.0, "large.pt": 1.0}).axes[0]
    assert [line.get_xdata() for line in axes.lines[1:]] == [[0.0, 0.0], [1.0, 1.0]]
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("small.pt", 0.0), ("large.pt", 1.0)]


@pytest.mark.parametrize(
    ("command", "worst"),
    [
        (("measure",), True),
        (("measure", "--measure", "average_case_sharpness"), False),
        (("measure", "--measure", "average_case_sharpness", "--measure", "epsilon_sharpness"), True),
        (("slice", "--points", 3), False),
        (("slice", "--points", 3, "--kind", "plane"), False),
    ],
)
@pytest.mark.parametrize("examples", ["7", "all"])
def test_only_a_search_is_cautioned_about_its_worst_point(
    command: Any, worst: bool, examples: str, folder: Path, flatmin: Any
) -> None:
    name, *options = command
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--examples", examples, "--json")
    said = flatmin(name, "one.pt", *arguments, *options)
    assert said.status == 0 and ("worst point" in str(json.loads(said.out)["cautions"])) == worst


@pytest.mark.parametrize("kind", ["line", "plane"])
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_picture_is_written(kind: str, suffix: str, folder: Path, flatmin: Any) -> None:
    arguments = ("--network", "models.py:mlp", "--data", "models.py:batches", "--points", "3", "--kind", kind)
    said = flatmin("slice", "one.pt", *arguments, "--figure", f"it.{suffix}")
    assert (said.status, said.err) == (0, "") and f"Figure: it.{suffix}" in said.out
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert (folder / f"it.{suffix}").read_bytes().startswith(start)


class Code:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def test_code_in_a_checkpoint_does_not_run(folder: Path, flatmin: Any) -> None:
    torch.save({"state_dict": torch.load("one.pt"), "extra": Code()}, "bad.ckpt")
    Path("bad.pt").write_bytes(pickle.dumps(Code()))
    for name in ("bad.ckpt", "bad.pt"):
        said = flatmin("measure", name, "--network", "models.py:mlp", "--data", "models.py:batches")
        assert said.status == 2 and said.out == "" and said.err.startswith("Error: bad.") and said.err.count("\n") == 1
    assert not (folder / "ran").exists()


NET, DATA = ("--network", "models.py:mlp"), ("--data", "models.py:batches")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.pt", *NET, *DATA), "there is no file none.pt."),
        (("one.pt", *NET, *DATA, "--with", "width=5"), "does not fit the network; of another shape: 0.weight (4 x 3"),
        (("one.pt", *NET, *DATA, "--with", "depth=5"), "--network: models.py:mlp cannot be called with depth=5"),
        (("one.pt", *NET, *DATA, "--with", "width"), "--with must be KEY=VALUE, such as width=64, got 'width'."),
        (("one.pt", "--network", "F7", *DATA), "--network must be module:function, file.py:function or one of F1, F2"),
        (("one.pt", "--network", "F1", *DATA), "missing in the file: layers.1.weight"),
        (("one.pt", "--network", "C1", *DATA), "network C1 takes inputs of 3 x 32 x 32, models.py:batches has 3"),
        (("one.pt", "--network", "F1", "--with", "variant=paper", *DATA), "only C1 and C3 differ"),
        (("one.pt", "--network", "gone.py:mlp", *DATA), "--network: no file"),
        (("one.pt", "--network", "models.py:mpl", *DATA), "--network: models.py has no 'mpl'"),
        (("one.pt", "--network", "models.py:not_a_network", *DATA), "must return a torch.nn.Module, got int"),
        (("one.pt", "--network", "models.py:raising", *DATA), "models.py:raising raised KeyError: 'no'"),
        (("one.pt", *NET, "--data", "minst"), "--data must be module:function, file.py:function or one of digits"),
        (("one.pt", *NET, "--data", "models.py:not_a_network"), "must return batches of (inputs, targets), got int"),
        (("one.pt", *NET, "--data", "models.py:dicts"), "must return batches of (inputs, targets), got dict in one"),
        (("one.pt", *NET, "--data", "models.py:wide"), "cannot be evaluated on models.py:wide: RuntimeError"),
        (("one.pt", *NET, *DATA, "--loss", "nll"), "--loss must be module:function, file.py:function or one of cross_"),
        (("one.pt", *NET, *DATA, "--loss", "mse"), "cannot be evaluated on models.py:batches"),
        (("one.pt", *NET, *DATA, "--on", "valid"), "--on must be one of train, test, got 'valid'."),
        (
            ("one.pt", *NET, *DATA, "--on", "test"),
            "--on test must be left out: models.py:batches does not return a tup",
        ),
        (
            ("one.pt", *NET, "--data", "models.py:breaking"),
            "walking through models.py:breaking raised OSError: no disk",
        ),
        (("one.pt", *NET, *DATA, "--examples", "0"), "--examples must be a number above 0 or all, got '0'."),
        (("one.pt", *NET, *DATA, "--batch-size", "4"), "--batch-size must be left out"),
        (("one.pt", *NET, *DATA, "--device", "tpu9"), "--device must be auto or a device of torch"),
        (("one.pt", *NET, *DATA, "--seed", "-1"), "--seed must be from 0 to 2**32 - 1, got -1."),
        (("one.pt", *NET, *DATA, "--output", "t.txt"), "--output must end in .csv, got t.txt."),
        (("one.pt", *NET, *DATA, "--output", "gone/t.csv"), "cannot be written: there is no folder gone."),
    ],
)
@pytest.mark.parametrize("command", ["measure", "slice"])
def test_bad_input_is_one_line(command: str, arguments: Any, message: str, folder: Path, flatmin: Any) -> None:
    said = flatmin(command, *arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Error: ") and message in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("measure", ("--measure", "sharpnes"), "--measure: there is no measure 'sharpnes'; the known ones are eps"),
        ("measure", ("--epsilon", "-1"), "--epsilon must be positive and at most 1e+06, got -1."),
        ("measure", ("--measure", "average_case", "--epsilon", "1"), "--epsilon must be left out"),
        ("measure", ("--batch-norm", "interpolated"), "--batch-norm must be one of running, batch, reestimate, got"),
        ("slice", ("--kind", "cube"), "--kind must be one of line, plane, got 'cube'."),
        ("slice", ("--kind", "plane", "--to", "two.pt"), "--to must go with --kind line"),
        ("slice", ("--batch-norm", "interpolated"), "--batch-norm interpolated must go with --to"),
        ("slice", ("--points", "1"), "--points must be from 2 to 10000, got 1."),
        ("slice", ("--span", "0"), "--span must be positive and finite, got 0."),
        ("slice", ("--figure", "it.gif"), "--figure must end in .png or .pdf or .svg, got it.gif."),
        ("slice", ("--save", "it.pkl"), "--save must end in .npz, got it.pkl."),
    ],
)
def test_a_bad_option_of_one_command_is_one_line(
    command: str, arguments: Any, message: str, folder: Path, flatmin: Any
) -> None:
    said = flatmin(command, "one.pt", *NET, *DATA, *arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Error: ") and message in said.err and said.err.count("\n") == 1


def test_between_networks_with_batch_norm_running_averages_are_refused(tmp_path: Path, flatmin: Any) -> None:
    for name in ("a.pt", "b.pt"):
        torch.save(LightningF1(input_shape=(1, 8, 8), width=4).network.state_dict(), tmp_path / name)
    paths = (tmp_path / "a.pt", "--to", tmp_path / "b.pt")
    rest = ("--network", "F1", "--with", "width=4", "--data", "digits", "--examples", "50", "--points", "3")
    said = flatmin("slice", *paths, *rest, "--batch-norm", "running")
    assert said.status == 2 and "use batch, reestimate or interpolated" in said.err
    assert "BatchNorm: batch statistics" in flatmin("slice", *paths, *rest).out
    assert "BatchNorm: interpolated" in flatmin("slice", *paths, *rest, "--batch-norm", "interpolated").out


@pytest.mark.parametrize("command", ["measure", "slice"])
def test_help_has_examples(command: str, flatmin: Any) -> None:
    said = flatmin(command, "--help")
    assert said.status == 0 and f"flatmin {command} last.ckpt --network F1 --data mnist" in said.out

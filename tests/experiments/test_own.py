"""A network, a data set and a loss that a user wrote, in a folder of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from flatmin.cli import app
from flatmin.core.errors import ConfigError
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables, identity

LAYERS = """
import torch
def hidden(width):
    return torch.nn.Sequential(torch.nn.BatchNorm1d(width), torch.nn.ReLU())
"""
MODELS = """
import numpy as np
import torch
from layers import hidden
def small(outputs=3, width=8):
    return torch.nn.Sequential(torch.nn.Linear(4, width), hidden(width), torch.nn.Linear(width, outputs))
def tokens():
    return torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Flatten(), torch.nn.Linear(12, 3))
def restless():
    network = torch.nn.Linear(4, 3)
    network.weight.data = torch.from_numpy(np.random.default_rng().normal(size=(3, 4))).float()
    return network
def nothing():
    return 3
NUMBER = 3
class Inplace(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(4, 3)
    def forward(self, x): return self.last(x.mul_(1.5))
def inplace(outputs): return Inplace()
SHARED = torch.nn.Linear(4, 3)
def shared(outputs): return SHARED
class Scaled(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        import random
        self.scale = random.random()
    def forward(self, x): return self.scale * super().forward(x)
def unsaved(outputs): return Scaled()
class Noisy(torch.nn.Linear):
    def forward(self, x): return torch.nn.functional.dropout(super().forward(x), 0.5)
def noisy(outputs): return Noisy(4, 3)
class Two(torch.nn.Linear):
    def forward(self, x): return super().forward(x), 0
def two(outputs): return Two(4, 3)
class Imaginary(torch.nn.Linear):
    def forward(self, x): return super().forward(x) * 1j
def imaginary(outputs): return Imaginary(4, 3)
def lazy(outputs): return torch.nn.LazyLinear(3)
def leaving(outputs): raise SystemExit("bye")
"""
DATA = """
import numpy as np
import torch
def blobs(n=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randn(n, 4, generator=generator) + 2 * torch.nn.functional.one_hot(y, 4).float()
    return (x[: n * 2 // 3], y[: n * 2 // 3]), (x[n * 2 // 3 :], y[n * 2 // 3 :])
def arrays():
    return tuple((x.double().numpy(), y.numpy().astype("int32")) for x, y in blobs())
class Examples:
    def __init__(self, x, y): self.x, self.y = x, y
    def __len__(self): return len(self.x)
    def __getitem__(self, index): return self.x[index], int(self.y[index])
def examples():
    return tuple(Examples(*part) for part in blobs())
def line():
    (x, _), (z, _) = blobs()
    return (x, x.sum(1, keepdim=True).sin()), (z, z.sum(1, keepdim=True).sin())
def words():
    x, y = torch.arange(270).reshape(90, 3) % 5, torch.arange(90) % 3
    return (x[:60], y[:60]), (x[60:], y[60:])
def pixels(): return (torch.zeros(4, 3, dtype=torch.uint8), torch.zeros(4)), (torch.zeros(4, 3), torch.zeros(4))
def boom(): raise OSError("disk gone")
def three(): return 1, 2, 3
class Ragged(list):
    pass
def ragged():
    examples = Ragged([(torch.zeros(1), 0), (torch.zeros(2), 0), (torch.zeros(1), 0)])
    return examples, examples
def short(): return (torch.zeros(4, 3), torch.zeros(3).long()), (torch.zeros(4, 3), torch.zeros(4).long())
def none(): return (torch.zeros(0, 3), torch.zeros(0).long()), (torch.zeros(4, 3), torch.zeros(4).long())
def below(): return (torch.zeros(4, 3), -torch.ones(4).long()), (torch.zeros(4, 3), torch.zeros(4).long())
def holes(): return (torch.full((4, 4), torch.nan), torch.zeros(4).long()), (torch.zeros(4, 4), torch.zeros(4).long())
def objects():
    import numpy
    part = numpy.array([None, "a"], dtype=object), torch.zeros(2).long()
    return part, part
def numbers(): return (torch.tensor(1.0), torch.tensor(0)), (torch.tensor(1.0), torch.tensor(0))
def imaginary(): return (torch.zeros(4, 3), torch.zeros(4) * 1j), (torch.zeros(4, 3), torch.zeros(4) * 1j)
def unlike(): return (torch.zeros(4, 3), torch.zeros(4).long()), (torch.zeros(4, 2), torch.zeros(4).long())
"""
LOSSES = """
import torch
def smooth(outputs, targets, smoothing=0.0):
    return torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
def vector(outputs, targets): return outputs.sum(1)
def restless(outputs, targets): return smooth(outputs, targets) * (1 + 0.1 * torch.rand(()))
def ignoring(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets, ignore_index=2)
def deaf(outputs, targets, reduction="mean"): return smooth(outputs, targets)
def scores(outputs): return outputs
"""
FILE = """
name: mine
data: {call: "data.py:blobs"}
network: {call: "models.py:small", outputs: 3}
loss: {call: "losses.py:smooth", smoothing: 0.1}
seeds: [0]
regimes: {small_batch: {batch_size: 10}, large_batch: {batch_size: 50%}}
training: {epochs: 6, learning_rate: 0.02}
sharpness: {methods: [paper], spaces: [full], examples: 40}
slices: null
resources: {device: cpu, wandb: {mode: disabled}}
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in (("layers", LAYERS), ("models", MODELS), ("data", DATA), ("losses", LOSSES)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "mine.yaml").write_text(FILE)
    return tmp_path


def made(folder, *changes):
    return Study.of(load_experiment(folder / "mine.yaml", changes), results=folder / "results")


def trained(study):
    return [step for step in study.steps if step.kind == "trained"]


def test_from_the_users_files_to_figures_table_list_and_report(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def flatmin(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"}, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    output = flatmin("run", "mine.yaml")
    assert "small on blobs (80 training, 40 test examples of 4)" in output and "sharper" in output
    figures = {path.name for path in (folder / "results" / "mine" / "figures").iterdir()}
    assert {"training_curves_small_blobs.png", "sharpness_small_blobs.pdf", "summary.csv"} <= figures
    tables = Tables.read(folder / "results" / "mine" / "tables")
    assert set(tables.minima["network"]) == {"small"} and set(tables.minima["data"]) == {"blobs"}
    assert tables.provenance["loss"] == "smooth" and tables.sharpness["heldout_sharpness"].notna().all()
    assert str(folder) not in json.dumps(tables.provenance["experiment"])
    assert "mine" in flatmin("list")
    assert "small on blobs" in flatmin("report", "results/mine", "--out", "report")
    assert "## small on blobs (mine)" in (folder / "report" / "report.md").read_text()


def test_the_loss_is_the_users_everywhere(folder):
    study = made(folder)
    tables = run(study)
    (small, _) = trained(study)
    network = study.workplace.trained(small).train().requires_grad_(False)
    data = study.workplace.train
    expected = torch.nn.functional.cross_entropy(network(data.inputs), data.targets, label_smoothing=0.1)
    assert tables.minima.loc[0, "train_loss"] == pytest.approx(float(expected), rel=1e-5)
    first = tables.sharpness[
        (tables.sharpness["regime"] == "small_batch") & (tables.sharpness["batch_norm"] == "batch")
    ]
    few = torch.nn.functional.cross_entropy(network(data.inputs[:40]), data.targets[:40], label_smoothing=0.1)
    assert first["base_loss"].iloc[0] == pytest.approx(float(few), rel=1e-5)


def test_changed_code_is_another_network_and_a_moved_folder_is_not(folder, tmp_path_factory):
    before = [identity(step.setup) for step in made(folder).steps]
    other = tmp_path_factory.mktemp("moved")
    for path in folder.glob("*.*"):
        (other / path.name).write_text(path.read_text())
    assert [identity(step.setup) for step in made(other).steps] == before
    (folder / "layers.py").write_text(LAYERS.replace("ReLU", "Tanh"))
    after = [identity(step.setup) for step in made(folder).steps]
    assert not set(before) & set(after)
    (other / "losses.py").write_text(LOSSES + "# changed\n")
    assert not set(before) & {identity(step.setup) for step in made(other).steps}
    changed = made(other, "data.seed=1")
    assert changed.workplace.dataset.provenance["files"] != made(other).workplace.dataset.provenance["files"]


def test_arguments_and_names_are_settings(folder):
    study = made(folder, "network.width=5", "network.name=narrow", "data.n=60", "data.name=few")
    (step, _) = trained(study)
    assert step.label == "narrow-few-small_batch-seed0" and step.setup["network"]["arguments"] == {
        "outputs": 3,
        "width": 5,
    }
    assert len(study.workplace.dataset.train) == 40 and study.workplace.start(0)[0].out_features == 5


@pytest.mark.parametrize("call", ["arrays", "examples"])
def test_arrays_and_data_sets_of_examples_are_as_good_as_tensors(folder, call):
    tensors, other = made(folder).workplace.dataset, made(folder, f"data.call=data.py:{call}").workplace.dataset
    assert torch.equal(other.train.inputs, tensors.train.inputs) and torch.equal(
        other.test.targets, tensors.test.targets
    )
    assert other.provenance["files"] == tensors.provenance["files"]


def test_tokens_are_inputs_too(folder):
    tables = run(made(folder, "data={call: 'data.py:words'}", "network={call: 'models.py:tokens'}", "loss=null"))
    assert len(tables.sharpness) and tables.minima["train_loss"].notna().all()


def test_real_targets_have_a_loss_and_no_accuracy(folder):
    study = made(folder, "data={call: 'data.py:line'}", "network.outputs=1", "loss=null")
    assert study.workplace.dataset.num_classes == 0 and study.origins["loss"] == "mean squared error"
    tables = run(study, draw=study.kind.draw)
    assert tables.minima["train_accuracy"].isna().all() and set(tables.minima["status"]) == {"finished"}
    summary = pd.read_csv(study.folder / "figures" / "summary.csv")
    assert {"test_loss", "train_loss"} <= set(summary["quantity"]) and "test_accuracy" not in set(summary["quantity"])
    assert "train loss" in study.steps[0].found(study.workplace.record(study.steps[0]))
    assert any("sharper" in line for line in study.kind.printed(tables) if isinstance(line, str))
    with pytest.raises(ConfigError, match="must not be 'stability' for real targets"):
        made(
            folder,
            "data={call: 'data.py:line'}",
            "network.outputs=1",
            "loss=null",
            "variations={s: {batch_size: 10, method: stability}}",
        )


def test_a_loss_that_is_no_mean_over_examples_is_said_and_has_no_standard_errors(folder):
    (folder / "losses.py").write_text(
        "import torch\nfrom torch.nn.functional import cross_entropy\n"
        "def hinge(outputs, targets):\n    return torch.nn.functional.multi_margin_loss(outputs, targets)\n"
        "def weighted(outputs, targets):\n"
        "    return cross_entropy(outputs, targets, weight=torch.tensor([1.0, 2.0, 9.0]))\n"
    )
    mean = made(folder, "loss={call: 'losses.py:hinge'}")
    scores, targets = torch.randn(6, 3), torch.arange(6) % 3
    assert torch.allclose(
        mean.workplace.each(scores, targets),
        torch.nn.functional.multi_margin_loss(scores, targets, reduction="none"),
    )
    assert run(mean).sharpness["heldout_standard_error"].notna().all()
    weighted = made(folder, "loss={call: 'losses.py:weighted'}")
    assert weighted.workplace.each is None and "is not the mean of its examples' losses" in weighted.cautions[0].text
    noise = "variations={n: {batch_size: 10, method: gradient_noise}}"
    with pytest.raises(
        ConfigError, match=r"variations.n.method must not be 'gradient_noise' with this loss: `loss` must"
    ):
        made(folder, "loss={call: 'losses.py:weighted'}", noise)
    assert made(folder, "loss={call: 'losses.py:hinge'}", noise)
    found = run(weighted).sharpness
    assert found["standard_error"].isna().all() and found["heldout_sharpness"].notna().all()


def test_tensors_with_a_graph_behind_them_are_data_like_others(folder):
    text = (folder / "data.py").read_text()
    (folder / "data.py").write_text(
        text
        + """
def learned():
    inputs = torch.arange(24.0).reshape(8, 3).requires_grad_() / 24
    return ((inputs * 2, torch.arange(8) % 3),) * 2
"""
    )
    study = made(
        folder,
        "data={call: 'data.py:learned'}",
        "network={call: 'torch.nn:Linear', in_features: 3, out_features: 3}",
        "regimes.large_batch.batch_size=50%",
        "regimes.small_batch.batch_size=2",
        "sharpness.examples=null",
    )
    assert not study.workplace.train.inputs.requires_grad


@pytest.mark.parametrize(("loss", "mean"), [("ignoring", False), ("deaf", True)])
def test_the_loss_of_each_example_is_found_or_said_to_be_none(folder, loss, mean):
    study = made(folder, f"loss={{call: 'losses.py:{loss}'}}")
    assert (study.workplace.each is not None) == mean
    assert ("is not the mean of" in str(study.cautions)) != mean
    assert run(study).sharpness["sharpness"].notna().all()


def test_modules_of_one_name_in_two_folders_are_two(folder):
    for place, factor in (("a", 1.0), ("b", 100.0)):
        (folder / place).mkdir()
        (folder / place / "helper.py").write_text(f"FACTOR = {factor}")
        (folder / place / "losses.py").write_text(
            "import helper\nfrom torch.nn.functional import cross_entropy\n"
            "def scaled(outputs, targets): return helper.FACTOR * cross_entropy(outputs, targets)\n"
        )
    outputs, targets = torch.randn(6, 3), torch.arange(6) % 3
    losses = [made(folder, f"loss={{call: '{place}/losses.py:scaled'}}").workplace.loss for place in "ab"]
    values = [float(loss(outputs, targets)) for loss in losses]
    assert values[1] == pytest.approx(100 * values[0])
    (folder / "a" / "helper.py").write_text("FACTOR = 7.0")
    edited = made(folder, "loss={call: 'a/losses.py:scaled'}").workplace.loss(outputs, targets)
    assert float(edited) == pytest.approx(7 * values[0])


def test_a_network_without_batch_norm_is_read_once(folder):
    both = "sharpness.batch_norm=[batch, running]"
    plain = made(
        folder,
        both,
        "slices={paths: {batch_norm: [batch, reestimate]}}",
        "network={call: 'torch.nn:Linear', in_features: 4, out_features: 3}",
    )
    assert sum(step.kind == "sharpness" for step in plain.steps) == 2
    assert {step.reading.batch_norm for step in plain.steps if step.kind == "slices"} == {"batch"}
    (folder / "models.py").write_text(
        "import torch\ndef normal(): return torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3))"
    )
    normal = made(folder, both, "network={call: 'models.py:normal'}")
    assert sum(step.kind == "sharpness" for step in normal.steps) == 4


def test_a_class_is_made_with_its_arguments(folder):
    study = made(folder, "loss={call: 'torch.nn:CrossEntropyLoss', label_smoothing: 0.1}")
    scores, targets = torch.randn(6, 3), torch.arange(6) % 3
    own = torch.nn.functional.cross_entropy(scores, targets, label_smoothing=0.1)
    assert torch.equal(study.workplace.loss(scores, targets), own)
    assert study.workplace.each(scores, targets).mean() == pytest.approx(float(own), rel=1e-6)
    installed = made(folder, "network={call: 'torch.nn:Linear', in_features: 4, out_features: 3}")
    assert trained(installed)[0].label.startswith("Linear-blobs")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network={call: 'models.py:smal'}", r"network\.call: models\.py has no 'smal'; it has .*small"),
        ("network={call: 'nodels.py:small'}", r"network\.call: no file .*nodels\.py; it is looked for beside"),
        ("network={call: 'no_such.models:f'}", r"network\.call: there is no module 'no_such'; install it, or"),
        ("network={call: 'torch.no_such:f'}", r"network\.call: there is no module 'torch\.no_such'"),
        ("network={call: models.py}", r"network\.call must be module:name or file\.py:name, got 'models\.py'"),
        ("network={call: 'models.py:NUMBER'}", r"models\.py:NUMBER must be callable, got int"),
        ("network.wide=3", r"models\.py:small cannot be called with outputs=3, wide=3: got an unexpected keyword"),
        ("network={call: 'models.py:nothing'}", r"must return a torch\.nn\.Module, got int"),
        ("network={call: 'models.py:restless'}", r"network must start from the seed alone"),
        ("network.outputs=1", r"loss: the loss cannot take the network's outputs: IndexError"),
        ("data=digits", r"network: the network cannot take inputs of 8 x 1 x 8 x 8 of digits: RuntimeError"),
        ("network={call: 'models.py:inplace', outputs: 3}", r"network must leave its inputs as they are"),
        ("network={call: 'models.py:shared', outputs: 3}", r"network must be a new network at every call"),
        ("network={call: 'models.py:unsaved', outputs: 3}", r"network must be a function of its weights .* built anew"),
        ("network={call: 'models.py:noisy', outputs: 3}", r"must be a function of its weights .* the second time"),
        ("network={call: 'models.py:two', outputs: 3}", r"network must return one tensor of real numbers, got tuple"),
        ("network={call: 'models.py:imaginary', outputs: 3}", r"one tensor of real numbers, got .*complex64"),
        ("network={call: 'models.py:lazy', outputs: 3}", r"network must be built with every size known, .* at weight"),
        ("network={call: 'models.py:leaving', outputs: 3}", r"models\.py:leaving raised SystemExit: bye"),
        ("loss={call: 'losses.py:restless'}", r"loss must be a function of outputs and targets, got .* and then"),
        ("data={call: 'models.py:small'}", r"data\.call: models\.py:small must return train and test, got Sequential"),
        ("data={call: 'data.py:three'}", r"must return train and test, got 3 things"),
        (
            "data={call: 'data.py:pixels'}",
            r"train must have inputs of floating point, or of int64 .*, got torch\.uint8",
        ),
        ("data={call: 'data.py:boom'}", r"data\.py:boom raised OSError: disk gone"),
        ("data={call: 'data.py:ragged'}", r"train\[1\] must have the shape of the others, 1, got 2"),
        ("data={call: 'data.py:short'}", r"train must have as many targets as inputs, got 3 and 4"),
        ("data={call: 'data.py:none'}", r"train must hold at least one example, got none"),
        ("data={call: 'data.py:below'}", r"train must have one class from 0 on for each input, got .* from -1 on"),
        ("data={call: 'data.py:holes'}", r"train must have finite inputs, got NaN or infinity"),
        ("data={call: 'data.py:objects'}", r"train\.inputs cannot be a tensor: TypeError"),
        ("data={call: 'data.py:numbers'}", r"train must have a row of inputs for each example, got a single number"),
        (
            "data={call: 'data.py:imaginary'}",
            r"train must have targets that are real numbers or classes, got .*complex",
        ),
        ("data={call: 'data.py:unlike'}", r"train and test must be alike, got inputs of 4 x 3 and 4 x 2"),
        ("data.examples=500", r"data\.examples must be at most the 80 of blobs, got 500"),
        ("loss={call: 'losses.py:vector'}", r"loss must return one number with a gradient, .* got a tensor of 8"),
        ("loss={call: 'losses.py:scores'}", r"loss: the loss cannot take the network's outputs: TypeError"),
        ("loss.smoothness=1", r"unexpected keyword argument 'smoothness'"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(folder, change, message):
    with pytest.raises(ConfigError, match=message) as error:
        made(folder, change)
    assert "\n" not in str(error.value)
    assert not (folder / "results").exists()


def test_code_that_cannot_be_imported_is_one_line(folder):
    for text, said in (
        ("import nothing_here", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivision"),
    ):
        (folder / "models.py").write_text(text)
        with pytest.raises(ConfigError, match=rf"network\.call: importing models\.py raised {said}"):
            made(folder)


def test_killed_and_resumed_it_ends_as_if_it_had_not_been(folder):
    (folder / "slow.yaml").write_text(FILE.replace("epochs: 6", "epochs: 60").replace("name: mine", "name: slow"))
    whole = run(Study.of(load_experiment(folder / "slow.yaml"), results=folder / "whole"))
    code = (
        "import flatmin.training.trainer as t, flatmin.cli as c; t.CHECKPOINT_SECONDS = 0.0; "
        "import sys; sys.argv = ['flatmin', 'run', 'slow.yaml', '--no-figures']; c.main()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("results/slow/trained/*/training.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not list(folder.glob("results/slow/tables/*"))
    study = Study.of(load_experiment(folder / "slow.yaml"), results=folder / "results")
    again = run(study)
    for name in ("curves", "minima", "sharpness"):
        pd.testing.assert_frame_equal(again.frames[name], whole.frames[name])


def test_an_experiment_does_not_say_where_it_lies(folder):
    experiment = load_experiment(folder / "mine.yaml")
    assert experiment.folder == folder and not re.search(str(folder), experiment.model_dump_json())

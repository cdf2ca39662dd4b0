"""Settings that no run can do, refused in one line when it is planned."""

import pytest
import torch
from torch import nn

from flatmin.core.errors import ConfigError
from flatmin.experiments import load_experiment, registry
from flatmin.results import Store
from flatmin.studies.comparison.plan import plan
from flatmin.studies.comparison.prepare import data_of, shortened

BASE = """
name: q
data: {name: digits, examples: 200}
network: {name: F1, width: 8}
regimes: {small_batch: {batch_size: 16}, large_batch: {batch_size: 100}}
"""
NINES = "9" * 400


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "q.yaml"
    path.write_text(BASE)
    return path


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("sharpness.epsilons=[1e38]", "sharpness.epsilons[0] must be at most 1e+06, got 1e+38."),
        ("effort={epsilons: [1e38]}", "effort.epsilons[0] must be at most 1e+06, got 1e+38."),
        ("average_case={sigmas: [1e39]}", "average_case.sigmas[0] must be at most 1e+06, got 1e+39."),
        ("slices.paths.alphas=[-1e39, 1, 5]", "slices.paths.alphas.low must be at least -1e+06, got -1e+39."),
        ("slices.random_lines.alphas=[-1, 1e39, 5]", "slices.random_lines.alphas.high must be at most 1e+06, got"),
        ("slices.planes.margin=1e308", "slices.planes.margin must be at most 1e+06, got 1e+308."),
        ("slices.planes.points=1000000", "slices.planes.points must be at most 10000, got 1000000."),
        ("network.width=100000000", "network.width must be at most 16384, got 100000000."),
        (f"training.epochs={NINES}", f"training.epochs must be at most 1000000, got {'9' * 57}...."),
        (f"training.epochs={NINES * 20}", "is not valid YAML: Exceeds the limit (4300 digits)"),
        ("resources.device=cuda:99999999999999999999", "resources.device must be 'auto', 'cpu', 'cuda' or one GPU"),
        ("sharpness.draws=100000000", "sharpness.draws must be at most 10000, got 100000000."),
        (
            "seeds=[2147483648]",
            "slices.planes.seeds must be below 2147483648, got 2147483648: a random plane",
        ),
        ('about="\\ud800"', "text must be characters, got half of one in '\\ud800'."),
    ],
)
def test_setting_out_of_all_bounds_is_one_line(file, change, rule):
    with pytest.raises(ConfigError) as refusal:
        load_experiment(file, [change])
    said = str(refusal.value)
    assert rule in said and "\n" not in said and len(said) < 350


def test_plan_of_too_many_steps_ends_before_memory_does(experiment, tmp_path):
    asked = experiment(sharpness={"draws": 10_000, "subspace_dim": 3}, seeds=list(range(1000)))
    dataset = shortened(data_of(asked, None, download=False), 80)
    with pytest.raises(ConfigError, match=r"^the settings ask for more than 50,000 steps; ask for fewer seeds"):
        plan(asked, dataset, {}, Store(tmp_path))


ONE_MEASURE = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20}
LINES = {"paths": None, "planes": None, "examples": 40}


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"regimes": {"small_batch": {"batch_size": 1}}}, "regimes.small_batch.batch_size"),
        ({"regimes": {"small_batch": {"batch_size": "0.05%"}}}, "regimes.small_batch.batch_size"),
        ({"variations": {"x": {"batch_size": [1, 8]}}}, "variations.x_1.batch_size"),
        ({"training": {"epochs": 1, "evaluation_batch_size": 1}}, "training.evaluation_batch_size"),
        ({"sharpness": ONE_MEASURE | {"batch_size": 1}}, "sharpness.batch_size"),
        ({"sharpness": ONE_MEASURE | {"examples": 1}}, "sharpness.examples"),
        ({"sharpness": ONE_MEASURE | {"subsets": [1]}}, "sharpness.examples"),
        ({"average_case": {"examples": 1}}, "average_case.examples"),
        ({"effort": {"batch_size": 1}}, "effort.batch_size"),
        ({"slices": LINES | {"batch_size": 1}}, "slices.batch_size"),
        ({"slices": LINES | {"examples": 1}}, "slices.examples"),
        ({"slices": LINES | {"planes": {"examples": 1}}}, "slices.examples"),
    ],
)
def test_batch_of_one_with_batch_norm_is_refused(make, changes, setting):
    with pytest.raises(ConfigError) as refusal:
        make(**changes)
    assert str(refusal.value) == f"{setting} must be at least 2, got 1: BatchNorm needs two examples in a batch."


def test_budget_that_leaves_one_example_is_named(make):
    with pytest.raises(ConfigError, match=r"must be at least 2, got 1 within the budget of 0\.01: BatchNorm needs two"):
        make(budget=0.01, sharpness=ONE_MEASURE, training={"epochs": 100})
    with pytest.raises(ConfigError, match=r"got 16\. The budget of 0\.01 leaves 1 example to train on\.$"):
        make(budget=0.01)


def test_running_averages_and_networks_without_batch_norm_take_one(make, monkeypatch):
    make(sharpness=ONE_MEASURE | {"examples": 1, "batch_norm": ["running"]})
    plain = lambda input_shape, num_classes, width=4: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))  # noqa: E731
    monkeypatch.setitem(registry.ANY_INPUT, "F1", plain)
    make(regimes={"small_batch": {"batch_size": 1}}, sharpness=ONE_MEASURE | {"examples": 1})


def test_network_that_no_memory_holds_is_one_line(make, monkeypatch):
    def huge(*shape, **options):
        return torch.empty(2**50)

    monkeypatch.setitem(registry.ANY_INPUT, "F1", huge)
    with pytest.raises(ConfigError, match=r"^network must fit into memory, and does not; make it smaller\.$"):
        make()


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        (["data.examples=15", "seeds=[0]"], "override data.examples=15"),
        (["seeds=[0]", "data={name: digits, examples: 15}"], "override data={name: digits, examples: 15}"),
        (["sharpness.seeds=[7]", "training.epochs=3"], "override sharpness.seeds=[7]"),
        (["training.epochs=3", "sharpness.epochs=[9]", "about=x"], "override sharpness.epochs=[9]"),
    ],
)
def test_override_is_blamed_for_what_it_says_alone(file, changes, blamed):
    with pytest.raises(ConfigError) as refusal:
        load_experiment(file, changes)
    assert str(refusal.value).startswith(f"{blamed}: ")

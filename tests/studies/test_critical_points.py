"""Critical points of small networks: counts against a dense Hessian, verdicts against tables that are made up."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, mse_loss, one_hot

from flatmin.core.errors import ConfigError
from flatmin.core.kind import kind_named
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.critical_points.found import points_of, sentences

FILE = Path(__file__).parents[2] / "experiments" / "book_fig_3_6.yaml"
SMALL = [
    *("data={name: digits, examples: 60}", "pool=4", "hidden=3", "seeds=[0]", "updates=[0, 40]"),
    "steps={gradient_norm: 30, saddle_free_newton: 10}",
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = Study.of(load_experiment(FILE, SMALL), results=tmp_path_factory.mktemp("results"))
    return made, run(made)


def test_counts_are_those_of_the_hessian_written_out(study):
    made, tables = study
    train = load("digits").train
    inputs = avg_pool2d(train.inputs[:60].double(), 4).flatten(1)
    targets = one_hot(train.targets[:60], 10).double()
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 10)).double()
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def loss(theta):
        parts = torch.split(theta, [shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return mse_loss(functional_call(model, weights, (inputs,)), targets)

    for step, record, _ in made.states():
        theta = torch.as_tensor(record.arrays["theta"])
        values = torch.linalg.eigvalsh(torch.func.jacrev(torch.func.jacrev(loss))(theta))
        torch.testing.assert_close(torch.as_tensor(record.arrays["eigenvalues"]), values, rtol=0, atol=1e-10)
        key = {"method": step.method, "updates": step.updates, "seed": step.seed}
        rows = tables.frames["minimum_ratio"]
        for row in rows[(rows[list(key)] == pd.Series(key)).all(axis=1)].itertuples():
            edge = row.tolerance * float(values.abs().max())
            assert (row.negative, row.positive) == (int((values < -edge).sum()), int((values > edge).sum()))
            assert row.loss == pytest.approx(float(loss(theta))) and row.size == 55


def test_the_way_down_ends_below_where_training_stopped(study):
    rows = study[1].frames["minimum_ratio"]
    down = rows[rows["method"] == "saddle_free_newton"]
    assert (down["loss"] < down["trained_loss"]).all()
    flat = rows[rows["method"] == "gradient_norm"]
    assert (flat["gradient_norm"] < flat["trained_gradient"]).all()


def invented(ratios, losses, zeros):
    rows = pd.DataFrame({"minimum_ratio": ratios, "loss": losses, "zero": zeros})
    fixed = {"method": "gradient_norm", "updates": 0, "tolerance": 1e-6, "gradient_norm": 1e-9, "converged": True}
    rows = rows.assign(**fixed, size=100, given_zeros=0, kind="saddle", seed=range(len(rows)))
    rows["positive"] = (100 * rows["minimum_ratio"]).round()
    rows["negative"] = 100 - rows["positive"] - rows["zero"]
    rows = rows.reindex(columns=kind_named("critical_points").columns["minimum_ratio"])
    asked = {"tolerances": [1e-6], "near": 1e-3, "gradient": 1e-8, "kind": "critical_points"}
    return Tables(minimum_ratio=rows, provenance={"experiment": asked})


def verdicts(tables):
    return [line for line in sentences(tables) if line.startswith("L3")]


def test_l3_is_judged_by_the_highest_ratio_and_by_the_rank_correlation():
    falling = [0.2 + 0.005 * k for k in range(60)]
    holds = invented(falling, [1 - ratio for ratio in falling], [10] * 60)
    assert ["holds" in line.split(";")[0] for line in verdicts(holds)] == [True] * 4
    above = invented([*falling[:-1], 0.9], falling, [5] * 60)
    assert all("does not hold" in line for line in verdicts(above))
    few = invented(falling[:5], falling[:5], [0] * 5)
    assert "undecided by fewer than 50" in verdicts(few)[0]


def test_zeros_that_explain_the_ceiling_are_said_to():
    zeros_alone = invented([0.4, 0.5, 0.6], [0.1, 0.2, 0.3], [60, 50, 40])
    assert any(line.startswith("At 100% of the points") for line in sentences(zeros_alone))
    assert points_of(zeros_alone)["signed_ratio"].tolist() == [1.0, 1.0, 1.0]
    negatives = invented([0.4, 0.5, 0.6], [0.1, 0.2, 0.3], [0, 0, 0])
    assert any(line.startswith("At 0% of the points") for line in sentences(negatives))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("hidden=500", "hidden must leave at most 2,000 weights"),
        ("plane={seed: 99}", "plane must name a seed, updates and method"),
        ("methods=[newton]", "methods"),
        ("data={name: digits, examples: 100000}", "examples"),
    ],
)
def test_what_cannot_be_is_refused(change, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        Study.of(load_experiment(FILE, [*SMALL, change]), results=tmp_path)


def test_the_figures_are_drawn(study, tmp_path):
    files = kind_named("critical_points").draw(study[1], tmp_path)
    assert {path.name for path in files} >= {"minimum_ratio.pdf", "minimum_ratio.png", "minimum_ratio.csv"}

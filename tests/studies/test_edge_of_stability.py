"""The study of the edge of stability: its numbers against dense Hessians, its verdicts against invented tables."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from flatmin.cli import app
from flatmin.core.errors import ConfigError
from flatmin.core.functions import FunctionObjective
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Store
from flatmin.studies.edge_of_stability import KIND
from flatmin.studies.edge_of_stability.figure import edge_of_stability
from flatmin.studies.edge_of_stability.found import sentences
from flatmin.studies.edge_of_stability.settings import Way
from flatmin.studies.edge_of_stability.steps import Look, optimizer_of

WAYS = (
    "ways=[{learning_rate: 0.3}, {optimizer: heavy_ball, learning_rate: 0.1, momentum: 0.5}, "
    "{optimizer: nesterov, learning_rate: 0.1}, {optimizer: adam, learning_rate: 0.01}, "
    "{learning_rate: 0.3, batch_size: 7}]"
)
FILE = (
    "name: edge\nkind: edge_of_stability\ndata: {name: digits, examples: 30}\nwidth: 3\nsteps: 6\nevery: 3\n"
    "tolerance: 1.0e-3\nresources: {wandb: {mode: disabled}}\n" + WAYS.replace("=", ": ", 1) + "\n"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "edge.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def tables(file, tmp_path):
    return run(Study.of(load_experiment(file), results=tmp_path))


def flatmin(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"}, catch_exceptions=False)


def written_out(steps, rate):
    """Gradient descent on the vector of weights, with the whole Hessian; float64."""
    digits = load("digits").train
    inputs = digits.inputs[:30].double().flatten(1)
    inputs = inputs - inputs.mean()
    targets = torch.eye(10, dtype=torch.float64)[digits.targets[:30]]
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 10)]
    theta = torch.cat([p.detach().double().reshape(-1) for layer in layers for p in layer.parameters()])

    def loss(vector):
        parts = vector.split([192, 3, 9, 3, 30, 10])
        hidden = torch.tanh(inputs @ parts[0].reshape(3, 64).T + parts[1])
        hidden = torch.tanh(hidden @ parts[2].reshape(3, 3).T + parts[3])
        outputs = hidden @ parts[4].reshape(10, 3).T + parts[5]
        return ((outputs - targets) ** 2).sum() / 60

    for _ in range(steps):
        theta = theta - rate * torch.autograd.functional.jacobian(loss, theta)
    return float(loss(theta)), float(torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, theta))[-1])


def test_loss_and_eigenvalue_are_those_of_descent_and_hessian_written_out(tables):
    rows = tables.frames["edge_of_stability"]
    way = rows[(rows["optimizer"] == "descent") & (rows["batch_size"] == 30)]
    assert way["step"].tolist() == [0, 3, 6]
    for row in way.itertuples():
        assert [row.loss, row.hessian] == pytest.approx(written_out(int(row.step), 0.3), rel=1e-4)
        assert row.effective == row.hessian and row.threshold == pytest.approx(2 / 0.3)
        assert row.residual <= 1e-3 * row.hessian


def test_every_optimiser_has_its_line_and_adam_a_hessian_of_its_own(tables):
    rows = tables.frames["edge_of_stability"]
    lines = {name: part["threshold"].iloc[0] for name, part in rows.groupby("optimizer")}
    expected = {"descent": 2 / 0.3, "heavy_ball": 30, "nesterov": 3.8 / 0.28, "adam": 3800}
    assert lines == pytest.approx(expected)
    adam = rows[rows["optimizer"] == "adam"]
    assert (
        adam["effective"].isna().tolist() == [True, False, False] and not (adam["effective"] == adam["hessian"]).any()
    )
    assert rows["rises"].isna().equals((rows["batch_size"] == 7) | (rows["step"] == 0))


def test_a_later_look_starts_from_the_last_vector_and_costs_less():
    generator = torch.Generator().manual_seed(0)
    values = torch.cat([torch.rand(200, generator=generator, dtype=torch.float64), torch.tensor([1.1]).double()])
    bowl = FunctionObjective(lambda t: (values * t * t).sum() / 2, torch.ones(201, dtype=torch.float64))
    look = Look(bowl, 1e-3)
    first, second = (look._eigenvalue("hessian", bowl) for _ in range(2))
    assert second["products"] < first["products"] and second["hessian"] == pytest.approx(1.1, rel=1e-5)


def test_a_training_that_diverges_ends_and_is_said(file, tmp_path):
    study = Study.of(load_experiment(file, ["ways=[{learning_rate: 1e30}]"]), results=tmp_path)
    found = run(study)
    last = found.frames["edge_of_stability"].iloc[-1]
    assert not math.isfinite(last["loss"]) and any("diverged after 3 steps" in line for line in sentences(found))
    assert next(sentences(found)).startswith("R7 does not hold")


def invented(**groups):
    """A table of trainings of 100 steps, by the ratio of eigenvalue to line at each of their measurements."""
    parts = []
    for name, (optimizer, batch, ratios) in groups.items():
        steps = np.linspace(0, 100, len(ratios))
        part = pd.DataFrame({"step": steps, "effective": 20 * np.array(ratios), "loss": 1 / (1 + steps)})
        fixed = {"optimizer": optimizer, "learning_rate": 0.1, "momentum": 0.0, "batch_size": batch, "threshold": 20.0}
        seed = {"seed": list(groups).index(name), "hessian": part["effective"], "rises": np.nan, "accuracy": 1.0}
        parts.append(part.assign(**fixed, **seed, residual=0.0, products=1, critical=1.0))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("late", "verdict"),
    [(1.1, "R7 holds"), (0.81, "R7 holds"), (1.21, "R7 does not hold"), (0.5, "R7 does not hold")],
)
def test_the_claim_is_judged_late_and_by_every_training(tables, late, verdict):
    rows = invented(a=("descent", 50, [0.1, 3.0, 1.0, 1.0, 1.0]), b=("descent", 50, [9.0, 0.2, 0.3, late, late]))
    said = list(sentences(tables.having(edge_of_stability=rows)))
    assert said[0].startswith(f"{verdict}: late") and f"1.000, {late:.3f} of 2 / eta" in said[0]
    assert f"(2 trainings: 2 reached it, {1 + (abs(late - 1) < 0.2)} stayed within 20% of it)" in said[0]


@pytest.mark.parametrize(("high", "verdict"), [(0.9, "stay below"), (1.3, "do not all stay below")])
def test_small_batches_are_judged_by_their_highest_late_eigenvalue(tables, high, verdict):
    rows = invented(a=("descent", 50, [1.0, 1.0, 1.0]), b=("descent", 5, [2.0, 0.4, high]))
    said = list(sentences(tables.having(edge_of_stability=rows)))
    assert said[2].startswith(f"Small batches {verdict} the line") and f"{high:.2f} with batches of 5" in said[2]


def test_the_critical_sharpness_is_set_beside_the_eigenvalue_early_and_late(tables):
    rows = invented(a=("descent", 50, [0.5, 1.0, 1.0, 1.0, 1.0]))
    rows["critical"] = rows["hessian"] * [0.25, 7.0, 7.0, 0.5, 1.0]
    said = list(sentences(tables.having(edge_of_stability=rows)))[1]
    assert "0.25 of the largest eigenvalue in the first 25% of" in said and "and 0.75 in the last" in said


def test_the_mirror_gets_the_table_and_the_late_ratios(tables):
    frames, numbers = KIND.logged(tables)
    assert list(frames) == ["tables/edge_of_stability"] and len(numbers) == 5
    assert "edge_of_stability/descent_0.3_30_seed0/late_ratio" in numbers


@pytest.mark.parametrize("factor", [1.0, 1e-9, 1e9])
def test_eigenvalues_beyond_the_axis_are_counted_below_the_figure(tables, factor):
    rows = tables.frames["edge_of_stability"]
    first = rows["effective"].notna() & (rows["optimizer"] == "descent")
    moved = rows["effective"].where(rows.index != rows.index[first][0], factor * rows["effective"])
    figure = edge_of_stability(tables.having(edge_of_stability=rows.assign(effective=moved)))
    drawn = [axes.get_ylim() for axes in figure.axes[len(figure.axes) // 2 :]]
    inside = [
        low <= line <= high
        for (low, high), axes in zip(drawn, figure.axes[-len(drawn) :], strict=True)
        for curve in axes.lines
        for line in np.asarray(curve.get_ydata(), float)
        if np.isfinite(line)
    ]
    told = figure._supxlabel.get_text()
    assert all(inside) == ("beyond the axis" not in told)


def test_no_training_says_nothing(tables):
    assert not list(sentences(tables.having(edge_of_stability=tables.frames["edge_of_stability"].head(0))))


def test_it_is_run_drawn_and_reported_like_any_other(file, tmp_path):
    results = tmp_path / "results"
    ran = flatmin("run", file, "--results", results)
    assert ran.exit_code == 0 and "R7" in ran.output and "5 networks to train to the edge" in ran.output
    folder = results / "edge"
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".csv", ".pdf", ".png"}
    assert len(Store(folder).records()) == 5
    reported = flatmin("report", folder, "--out", tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert reported.exit_code == 0 and "## The edge of stability (edge)" in text and "Small batches" in text


def test_a_budget_cuts_the_steps_and_says_so(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path)
    assert [remark.text for remark in study.reduced] == ["Trained on the first 30 of 1,437 examples", "3 of 6 steps"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["ways=[{learning_rate: 0.1, momentum: 0.9}]"],
            "must have no momentum with 'descent'; take heavy_ball or nes",
        ),
        (["ways=[{learning_rate: 0.1, optimizer: lion}]"], "ways[0].optimizer must be"),
        (["ways=[{learning_rate: 0}]"], "ways[0].learning_rate must be positive, got 0"),
        (["loss=hinge"], "loss must be 'squared_error' or 'cross_entropy', got 'hinge'"),
    ],
)
def test_bad_settings_are_one_line(file, changes, message):
    with pytest.raises(ConfigError) as error:
        load_experiment(file, changes)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data={name: digits, examples: 2000}"], "data.examples must be at most the 1,437 of digits, got 2000"),
        (["ways=[{learning_rate: 0.1, batch_size: 30}]"], "must be below the 30 examples, got 30; use null"),
    ],
)
def test_what_the_data_do_not_hold_is_one_line(file, changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        Study.of(load_experiment(file, changes), results=tmp_path)


def test_the_shipped_file_asks_for_every_optimiser_and_small_batches():
    shipped = load_experiment(Path(__file__).parents[2] / "experiments" / "edge_of_stability.yaml")
    assert {way.optimizer for way in shipped.ways} == {"descent", "heavy_ball", "nesterov", "adam"}
    assert any(way.batch_size for way in shipped.ways)
    made = optimizer_of(Way(optimizer="nesterov", learning_rate=0.1), iter([torch.nn.Parameter(torch.ones(1))]))
    assert made.param_groups[0]["nesterov"] and made.param_groups[0]["momentum"] == 0.9

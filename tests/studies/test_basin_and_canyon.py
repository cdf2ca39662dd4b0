"""Basin and canyon: shifts and costs of parabolas, lines against losses written out, verdicts on invented tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.core.functions import FunctionObjective
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.basin_and_canyon.found import DIRECTIONS, sentences, table
from flatmin.studies.basin_and_canyon.shifts import lowest, reach_of
from flatmin.studies.basin_and_canyon.steps import MINIMA, shifted

SHIPPED = Path(__file__).parents[2] / "experiments" / "book_fig_3_13.yaml"
SMALL = [
    *("data={name: digits, examples: 60}", "test_examples=40", "pool=1", "width=6", "target=0.3", "epochs=200"),
    *("seeds=[0]", "points=9", "directions={random: 1, steepest: 1}", "resources={wandb: {mode: disabled}}"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return run(Study.of(load_experiment(SHIPPED, SMALL), results=tmp_path_factory.mktemp("basin")))


def bowl(curvatures, center, floor=0.0):
    curvatures, center = (torch.tensor(values, dtype=torch.float64) for values in (curvatures, center))
    return FunctionObjective(lambda w: (curvatures * (w - center) ** 2).sum() / 2 + floor, torch.zeros(2).double())


def test_of_parabolas_shift_cost_and_steepness_are_known():
    train, test = bowl([2.0, 9.0], [0.01, 0.0]), bowl([3.0, 5.0], [0.11, 0.0], floor=0.4)
    row, curve = shifted(train, test, torch.tensor([2.0, 0.0]).double(), 0.5, 21)
    assert (row["length"], row["inside"]) == (2.0, True)
    assert row["shift"] == pytest.approx(0.1, abs=1e-4)
    assert [row["train_curvature"], row["test_curvature"]] == pytest.approx([2, 3], rel=1e-6)
    assert row["cost"] == pytest.approx(3 * 0.1**2 / 2, rel=1e-3) and row["predicted"] == pytest.approx(
        row["cost"], rel=1e-3
    )
    assert [row["correlation"], row["steepness"], row["residual"]] == pytest.approx([1, 1.5, 0.5], rel=1e-3)
    assert row["reach"] == pytest.approx(0.5**0.5, rel=1e-3) and curve["train"].iloc[10] == pytest.approx(1e-4)


def test_the_lowest_point_is_that_of_the_valley_in_the_middle_and_a_fall_to_the_edge_is_said():
    def double_well(a):
        return (a * a - 1) ** 2 + 0.5 * a

    grid = np.linspace(-2.4, 1.6, 41)  # its middle is at -0.4, in the deeper well
    assert lowest(double_well, grid, double_well(grid))[0] == pytest.approx(
        np.roots([4, 0, -4, 0.5]).real.min(), abs=1e-3
    )
    grid = np.linspace(-1.2, 2.8, 41)  # at 0.8, in the other
    place, inside = lowest(double_well, grid, double_well(grid))
    assert place == pytest.approx(np.roots([4, 0, -4, 0.5]).real.max(), abs=1e-3) and inside
    assert lowest(lambda a: a, grid, grid)[1] is False


def test_where_the_loss_rises_nowhere_a_line_ends_all_the_same():
    assert 1e6 <= reach_of(lambda alpha: 0.0, 0.5) < 4e6


def test_both_minima_are_as_deep_as_asked_and_have_every_line(tables):
    minima, lines = tables.frames["shifted_minima"], tables.frames["shifted_lines"]
    assert (minima["status"] == "reached").all() and (minima["train_loss"] <= 0.3).all()
    assert set(minima["batch_size"]) == {16, 30} and len(lines) == 2 * 4 and set(lines["direction"]) == set(DIRECTIONS)
    assert (lines["cost"] > -1e-6).all() and len(tables.frames["shifted_curves"]) == 9 * len(lines)
    between = lines[lines["direction"] == "between"]
    assert between.groupby("seed")["length"].nunique().tolist() == [1]
    assert (between["reach"] <= between["length"] / 2 * (1 + 1e-6)).all()


def invented(*, large_cost=3.0, status="reached", residual=0.5, predicted=1.0):
    """Tables of four seeds, one random line at each minimum."""
    rows = list[dict[str, object]]()
    for seed in range(4):
        for regime, cost in (("small_batch", 1.0), ("large_batch", large_cost)):
            noise = 1 + 0.01 * seed * (1 if regime == "small_batch" else -1)
            rows.append({"seed": seed, "regime": regime, "cost": cost * noise, "predicted": cost * noise * predicted})
    lines = pd.DataFrame(rows).assign(direction="random", number=0, length=1.0, reach=1.0, shift=0.1, inside=True)
    lines = lines.assign(train_argmin=0.0, test_argmin=0.1, train_min=0.0, test_min=1.0, gap=10.0, train_curvature=1.0)
    lines = lines.assign(test_curvature=2.0, correlation=0.999, residual=residual, steepness=1.5, scaled_residual=0.1)
    lines = lines.assign(unaligned_residual=0.9)
    minima = lines[["seed", "regime"]].assign(batch_size=8, status=status, epochs=3, updates=9, train_loss=0.1)
    minima = minima.assign(train_accuracy=1.0, test_loss=1.0, test_accuracy=0.9, top_eigenvalue=2.0)
    provenance = {"experiment": {"kind": "basin_and_canyon", "rise": 0.5}}
    return Tables(provenance=provenance, shifted_lines=lines, shifted_minima=minima)


@pytest.mark.parametrize(
    ("changed", "start"),
    [
        ({}, "Fig. 3.13 (one shape, shifted) does not hold"),
        ({"residual": 0.05}, "Fig. 3.13 (one shape, shifted) holds"),
        ({}, "Fig. 3.13 (the shift costs less at the small-batch minimum), random, filter-normalised: holds"),
        (
            {"large_cost": 0.5},
            "Fig. 3.13 (the shift costs less at the small-batch minimum), random, filter-normalised: does",
        ),
        (
            {"large_cost": 1.0},
            "Fig. 3.13 (the shift costs less at the small-batch minimum), random, filter-normalised: undec",
        ),
        ({"status": "short"}, "Fig. 3.13 undecided"),
    ],
)
def test_verdicts_follow_the_numbers(changed, start):
    assert [line for line in sentences(invented(**changed)) if line.startswith(start)]


@pytest.mark.parametrize(("predicted", "verdict"), [(1.0, "holds"), (0.5, "does not hold")])
def test_the_parabola_is_judged_by_the_ratio(predicted, verdict):
    said = next(line for line in sentences(invented(predicted=predicted)) if "h s^2 / 2," in line)
    assert f") {verdict}: the cost is {1 / predicted:.3f} [" in said


def test_the_table_has_a_row_for_each_kind_of_line_and_minimum():
    assert table(invented())["cost (nats)"].str.split(" ").str[0].tolist() == ["1", "3"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("large_batch=16", "large_batch must be larger than small_batch, got 16 and 16"),
        ("large_batch=61", "at most the 60 training examples"),
        ("test_examples=5000", "test_examples must be at most the 360 of digits"),
    ],
)
def test_what_does_not_fit_is_refused(override, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        Study.of(load_experiment(SHIPPED, [*SMALL, override]), results=tmp_path)


def test_a_training_ends_at_the_first_update_that_reaches_the_target(tmp_path):
    study = Study.of(load_experiment(SHIPPED, SMALL), results=tmp_path)
    trainings = [step for step in study.steps if step.kind == MINIMA]
    for step in trainings:
        room, row = study.workplace, step.run(study.workplace, tmp_path, lambda share: None).result
        network = room.start(step.seed)
        sgd = torch.optim.SGD(network.parameters(), lr=step.learning_rate)
        batches = ShuffledBatches(*room.train, step.batch_size, seed=step.seed)
        losses = []
        while len(losses) < row["updates"]:
            for inputs, targets in batches:
                sgd.zero_grad()
                cross_entropy(network(inputs), targets).backward()
                sgd.step()
                with torch.no_grad():
                    losses.append(float(cross_entropy(network(room.train.inputs), room.train.targets)))
        last = row["updates"] - 1
        assert losses[last] == pytest.approx(row["train_loss"], rel=1e-5) and losses[last] <= step.target
        assert min(losses[(row["epochs"] - 1) * len(batches) : last], default=1.0) > step.target
        assert -(-row["updates"] // len(batches)) == row["epochs"]
    assert len(trainings) == 2

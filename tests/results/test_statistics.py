import math

import pandas as pd
import pytest
from invented import rows_of

from flatmin.results import Tables
from flatmin.results.statistics import ratios, summary, with_minima


def minima(*rows: tuple) -> pd.DataFrame:
    """Rows of (regime, seed, test accuracy) or (regime, seed, test accuracy, status)."""
    return rows_of("minima", map(_minimum, rows), blank=0.0)


def _minimum(row: tuple) -> dict:
    regime, seed, accuracy, status = (*row, "finished")[:4]
    names = {"network": "F1", "data": "digits", "regime": regime, "seed": seed, "status": status}
    return names | {"test_accuracy": accuracy, "train_accuracy": 1.0}


def searches(
    *rows: tuple,
    subspace_dim: float = math.nan,
    epsilon: float = 1e-3,
    epoch: float = math.nan,
    distribution: str = "normal",
) -> pd.DataFrame:
    """Rows of (regime, seed, sharpness) or (regime, seed, sharpness, draw)."""
    filled = []
    for row in rows:
        regime, seed, value, draw = (*row, math.nan)[:4]
        names = {"network": "F1", "data": "digits", "regime": regime, "seed": seed, "method": "strong"}
        names |= {"space": "full" if math.isnan(subspace_dim) else "random", "batch_norm": "running"}
        names |= {"distribution": "identity" if math.isnan(subspace_dim) else distribution}
        numbers = {"epoch": epoch, "sharpness": value, "draw": draw, "subspace_dim": subspace_dim, "epsilon": epsilon}
        filled.append(names | numbers)
    return rows_of("sharpness", filled, blank=0.0)


def test_mean_and_sample_deviation_by_hand():
    tables = Tables(
        minima=minima(("small_batch", 0, 0.9), ("small_batch", 1, 0.8), ("large_batch", 0, 0.5)),
        sharpness=searches(("small_batch", 0, 1.0), ("small_batch", 1, 4.0)),
    )
    found = summary(tables).set_index(["regime", "quantity"])
    small = found.loc[("small_batch", "test_accuracy")]
    assert small["mean"] == pytest.approx(0.85)
    assert small["std"] == pytest.approx(0.1 / math.sqrt(2))
    assert small["seeds"] == 2
    assert math.isnan(small["epsilon"])
    lone = found.loc[("large_batch", "test_accuracy")]
    assert (lone["mean"], lone["seeds"]) == (0.5, 1)
    assert math.isnan(lone["std"])
    sharp = found.loc[("small_batch", "sharpness")]
    assert (sharp["mean"], sharp["seeds"], sharp["epsilon"]) == (2.5, 2, 1e-3)
    assert sharp["std"] == pytest.approx(3 / math.sqrt(2))


def test_diverged_runs_are_left_out_of_the_mean():
    tables = Tables(minima=minima(("large_batch", 0, 0.9), ("large_batch", 1, 0.1, "diverged")))
    assert summary(tables)[["mean", "seeds"]].to_numpy().tolist() == [[0.9, 1], [1.0, 1]]


def test_nothing_measured_of_a_training_without_minimum_is_left():
    slices = [("both", 0), ("both", 1), ("large_batch", 1), ("small_batch", 1)]
    rows = [{"regime": regime, "seed": seed} for regime, seed in slices]
    tables = Tables(
        minima=minima(("small_batch", 0, 0.9), ("small_batch", 1, 0.9), ("large_batch", 1, 0.1, "chance")),
        sharpness=searches(("small_batch", 1, 1.0), ("large_batch", 0, 9.0), ("large_batch", 1, 3.0)),
        lines=rows_of("lines", rows, blank=0.0, network="F1", data="digits"),
    )
    found = with_minima(tables)
    assert found.minima[["regime", "seed"]].to_numpy().tolist() == [["small_batch", 0], ["small_batch", 1]]
    assert found.sharpness[["regime", "seed"]].to_numpy().tolist() == [["small_batch", 1], ["large_batch", 0]]
    assert found.lines[["regime", "seed"]].to_numpy().tolist() == [["both", 0], ["small_batch", 1]]
    assert with_minima(found) is found


def test_a_remedy_without_minimum_takes_no_path_with_it():
    lines = rows_of("lines", [{"regime": "both", "seed": 0}], blank=0.0, network="F1", data="digits")
    tables = Tables(minima=minima(("conservative", 0, 0.1, "diverged")), lines=lines)
    assert len(with_minima(tables).lines) == 1


def test_draws_are_averaged_within_a_seed_before_the_spread():
    rows = [("small_batch", 0, 1.0, 0), ("small_batch", 0, 3.0, 1), ("small_batch", 1, 4.0, 0)]
    found = summary(Tables(sharpness=searches(*rows, subspace_dim=100))).iloc[0]
    assert (found["mean"], found["seeds"]) == (3.0, 2)
    assert found["std"] == pytest.approx(math.sqrt(2))


def test_different_settings_are_never_averaged_together():
    frames = [
        searches(("small_batch", 0, 1.0)),
        searches(("small_batch", 0, 2.0), epsilon=5e-4),
        searches(("small_batch", 0, 3.0, 0), subspace_dim=100),
        searches(("small_batch", 0, 4.0, 0), subspace_dim=200),
        searches(("small_batch", 0, 5.0, 0), subspace_dim=200, distribution="uniform"),
    ]
    tables = Tables(sharpness=pd.concat(frames, ignore_index=True))
    assert summary(tables)["mean"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len(ratios(tables)) == 5


def test_networks_on_their_way_are_no_minima():
    frames = [searches(("small_batch", 0, 1.0)), searches(("small_batch", 0, 9.0), epoch=3)]
    tables = Tables(sharpness=pd.concat(frames, ignore_index=True))
    assert summary(tables)["mean"].tolist() == ratios(tables)["small_batch"].tolist() == [1.0]


def test_further_regimes_have_means_and_no_ratio():
    tables = Tables(sharpness=searches(("sweep_364", 0, 3.0)))
    assert summary(tables)["mean"].tolist() == [3.0]
    assert len(ratios(tables)) == 0


def test_ratio_by_hand():
    rows = [("small_batch", 0, 1.0), ("small_batch", 1, 3.0), ("large_batch", 0, 10.0), ("large_batch", 1, 12.0)]
    found = ratios(Tables(sharpness=searches(*rows))).iloc[0]
    assert found["small_batch"] == 2.0
    assert found["large_batch"] == 11.0
    assert found["ratio"] == 5.5
    assert (found["lowest"], found["highest"], found["seeds"]) == (4.0, 10.0, 2)


def test_missing_regime_gives_nan():
    found = ratios(Tables(sharpness=searches(("large_batch", 0, 10.0)))).iloc[0]
    assert (found["large_batch"], found["seeds"]) == (10.0, 0)
    assert found[["small_batch", "ratio", "lowest", "highest"]].isna().all()


def test_zero_and_infinite_sharpness_pass_through():
    tables = Tables(sharpness=searches(("small_batch", 0, 0.0), ("large_batch", 0, math.inf)))
    assert ratios(tables)["ratio"].tolist() == [math.inf]
    assert summary(tables)["mean"].tolist() == [0.0, math.inf]


def test_no_rows_give_frames_without_rows():
    assert len(summary(Tables())) == len(ratios(Tables())) == 0
    assert {"quantity", "mean", "std", "seeds"} <= set(summary(Tables()).columns)
    assert {"ratio", "lowest", "highest", "seeds"} <= set(ratios(Tables()).columns)


def test_either_table_may_be_empty():
    assert summary(Tables(minima=minima(("small_batch", 0, 0.9))))["seeds"].tolist() == [1, 1]
    assert summary(Tables(sharpness=searches(("small_batch", 0, 0.9))))["seeds"].tolist() == [1]

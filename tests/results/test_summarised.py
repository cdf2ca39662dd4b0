"""Of a measure with many rows a summary shows those that it declares."""

import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.measures import measures
from flatmin.measures.readings import measure_named
from flatmin.results import Tables
from flatmin.results.measured import means, pairs


@pytest.fixture
def tables():
    """Shares reached by one to twenty eigenvectors at both minima of two seeds."""
    measure = measures()["explained"]
    rows = [
        dict.fromkeys(measure.table, 0.0)
        | {"network": "F1", "data": "digits", "regime": regime, "seed": seed, "epoch": float("nan")}
        | {"batch_norm": "batch", "epsilon": 1e-3, "number": float(number), "share": number / 20}
        for regime in ("small_batch", "large_batch")
        for seed in (0, 1)
        for number in range(1, 21)
    ]
    return Tables(explained=pd.DataFrame(rows, columns=list(measure.table)))


def test_means_and_pairs_hold_the_declared_rows_alone_and_the_table_all(tables):
    measure = measures()["explained"]
    assert means(tables, measure).groupby("number")["mean"].first().to_dict() == {1.0: 0.05, 5.0: 0.25, 20.0: 1.0}
    assert len(pairs(tables, measure)) == 3 * 2 and len(tables.frames["explained"]) == 80


def test_readings_of_a_network_are_those_rows():
    torch.manual_seed(0)
    batch = torch.randn(12, 3), torch.arange(12) % 2
    found = measure_named("explained")(Objective(torch.nn.Linear(3, 2), cross_entropy, [batch]))
    assert {key.split("_")[1] for key in found} == {"1", "5"}

"""Table 3.1: an update one by one is that of the batch, timings and trainings, verdicts on invented tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from flatmin.data.batches import Pair
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.small_against_large import KIND
from flatmin.studies.small_against_large.found import sentences
from flatmin.studies.small_against_large.rows import rows, table
from flatmin.studies.small_against_large.times import one_thread, seconds, update, update_one_by_one
from flatmin.studies.small_against_large.trainings import AT, optimizer_of

SHIPPED = Path(__file__).parents[2] / "experiments" / "book_table_3_1.yaml"
SMALL = [
    *("data={name: digits, examples: 60}", "test_examples=40", "pool=1", "width=6", "small_batch=6", "large_batch=50%"),
    *("epochs=3", "target=2.2", "seeds=[0, 1]", "draws=5", "rounds=2", "resources={wandb: {mode: disabled}}"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return run(Study.of(load_experiment(SHIPPED, SMALL), results=tmp_path_factory.mktemp("table")))


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_an_update_one_by_one_is_that_of_the_whole_batch(name):
    generator = torch.Generator().manual_seed(0)
    batch = Pair(torch.randn(7, 4, generator=generator).double(), torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    ends = []
    for step in (update, update_one_by_one):
        torch.manual_seed(0)
        network = torch.nn.Linear(4, 3).double()
        step(network, optimizer_of(name, network, 0.1), batch)
        ends.append(network.weight.detach().numpy())
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_one_thread_is_given_back_and_time_is_that_of_the_work():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
    import time

    assert 0.02 <= seconds(lambda: time.sleep(0.02), torch.device("cpu")) < 2


def test_epochs_and_updates_are_equal_where_they_say_so(tables):
    points = tables.frames["small_large_points"]
    at = {name: part.groupby("batch_size")[["epochs", "updates"]].max() for name, part in points.groupby("at")}
    assert at[AT[0]]["epochs"].tolist() == [3, 3] and at[AT[0]]["updates"].tolist() == [30, 6]
    assert at[AT[1]]["updates"].tolist() == [30, 30] and at[AT[1]]["epochs"].tolist() == [3, 15]
    assert (points.loc[points["at"] == AT[2], "train_loss"] <= 2.2).all()


def test_every_batch_size_is_timed_in_every_round_and_the_two_in_full(tables):
    times = tables.frames["small_large_times"]
    assert times.groupby("round")["batch_size"].apply(list).tolist() == [[6, 30, 12, 24, 48]] * 2
    whole = times[times["batch_size"].isin([6, 30])]
    assert (whole[["update", "one_by_one", "epoch"]] > 0).all(axis=None)
    assert times.loc[times["batch_size"] == 12, "epoch"].isna().all()


def test_a_larger_batch_has_less_noise_by_the_law_of_sampling(tables):
    noise = tables.frames["small_large_noise"]
    wide = noise.pivot(index=["seed", "when"], columns="batch_size", values="relative_noise")
    assert (wide[30] / wide[6]).mean() == pytest.approx(np.sqrt(6 / 30 * (60 - 30) / (60 - 6)), rel=0.3)


def test_the_table_has_the_six_rows_of_the_book_and_what_they_rest_on(tables):
    found = list(rows(tables))
    assert [row.book for row in found if row.judged] == [
        "faster, slower",
        "same, same (if not too large)",
        "slower, faster",
        "noisy, stable",
        "noisy, stable",
        "better, worse",
        "better, worse",
    ]
    assert len(table(tables)) == len(found) == 10
    assert "| speed of one update, no parallelism | faster, slower |" in next(KIND.tabulated(tables))


def invented(update=(1.0, 1.2), one_by_one=(1.0, 100.0), epoch=(9.0, 1.0), noise=(3.0, 0.3), accuracy=(0.9, 0.8)):
    """Tables of batches of 10 and 100, three rounds and seeds, each with a little spread."""
    spread = (1.0, 1.01, 0.99)
    times, gradients, points = list[dict[str, object]](), list[dict[str, object]](), list[dict[str, object]]()
    for place, size in enumerate((10, 100)):
        for turn, factor in enumerate(spread):
            other = spread[turn - place]
            times.append(
                {"round": turn, "batch_size": size, "update": update[place] * factor}
                | {"one_by_one": one_by_one[place] * other, "epoch": epoch[place] * factor}
            )
            gradients += [
                {"seed": turn, "batch_size": size, "when": when, "relative_noise": noise[place] * other}
                for when in ("start", "end")
            ]
            points += [
                {
                    "seed": turn,
                    "batch_size": size,
                    "at": at,
                    "train_accuracy": accuracy[place] * (1 + 0.01 * turn * place),
                }
                for at in AT
            ]
    points = pd.DataFrame(points).assign(epochs=1, updates=1, train_loss=0.1, test_loss=0.1)
    return Tables(
        provenance={"experiment": {"kind": "small_against_large"}},
        small_large_times=pd.DataFrame(times).assign(device="cpu", threads=1),
        small_large_noise=pd.DataFrame(gradients).assign(gradient_norm=1.0),
        small_large_points=points.assign(test_accuracy=points["train_accuracy"]),
    )


@pytest.mark.parametrize(
    ("changed", "aspect", "verdict"),
    [
        ({}, "no parallelism", "holds"),
        ({"one_by_one": (1.0, 0.5)}, "no parallelism", "does not hold"),
        ({"one_by_one": (1.0, 1.0)}, "no parallelism", "undecided"),
        ({}, "with parallelism", "holds"),
        ({"update": (1.0, 4.0)}, "with parallelism", "does not hold"),
        ({"update": (4.0, 1.0)}, "with parallelism", "does not hold"),
        ({}, "one epoch", "holds"),
        ({"epoch": (1.0, 9.0)}, "one epoch", "does not hold"),
        ({}, "noise at the start", "holds"),
        ({"noise": (0.3, 3.0)}, "noise at the start", "does not hold"),
        ({}, "optimisation, training accuracy at equal epochs", "holds"),
        ({"accuracy": (0.8, 0.9)}, "optimisation, training accuracy at equal epochs", "does not hold"),
        ({"accuracy": (0.8, 0.794)}, "generalisation, test accuracy at equal training loss", "undecided"),
    ],
)
def test_verdicts_follow_the_numbers(changed, aspect, verdict):
    found = [row for row in rows(invented(**changed)) if row.aspect.endswith(aspect)]
    assert [row.verdict for row in found] == [verdict]
    assert (
        sum(f"{aspect} (small, large: {found[0].book}) {verdict}:" in line for line in sentences(invented(**changed)))
        == 1
    )

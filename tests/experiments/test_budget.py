"""A budget on the shipped experiments whose batch sizes are numbers of examples."""

from pathlib import Path

import pytest

from flatmin.experiments import Study, load_experiment
from flatmin.experiments.budget import examples_for
from flatmin.experiments.shipped import experiment_file

LARGEST = {
    "book_fig_3_12": (["stuck.batch_sizes=[300]"], 1025),
    "book_table_3_1": ([], 1000),
    "correlation": ([], 128),
    "noise_scale": ([], 512),
    "weight_distance": ([], 625),
}


@pytest.mark.parametrize("name", LARGEST)
def test_a_budget_leaves_the_largest_batch_its_examples_and_says_what_is_cut(name, tmp_path):
    changes, least = LARGEST[name]
    settings = ["data={name: digits}", "budget=0.02", "resources.device=cpu", *changes]
    settings += ["test_examples=null"] * (name in {"book_table_3_1", "correlation", "noise_scale"})
    study = Study.of(load_experiment(experiment_file(Path(name)), settings), results=tmp_path)
    assert {step.setup["data"]["examples"] for step in study.steps if "data" in step.setup} == {least}
    assert any(f"The first {least:,} of 1,437 training examples" in remark.text for remark in study.reduced)


@pytest.mark.parametrize(("sizes", "left"), [((), 10), ((25, "50%"), 25), ((200,), 100)])
def test_a_share_of_the_examples_is_never_less_than_a_batch_nor_more_than_all(sizes, left):
    assert examples_for(0.1, 100, sizes) == left

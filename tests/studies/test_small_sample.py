"""Batches of a small sample against regression written out in NumPy."""

import numpy as np
import pytest
from PIL import Image

from flatmin.core.errors import ConfigError
from flatmin.experiments import Study, load_experiment, run
from flatmin.studies.small_sample import KIND
from flatmin.studies.small_sample.found import sentences

FILE = "name: s\nkind: small_sample\nresources: {wandb: {mode: disabled}}\nloaders: [[20, 20], [20, 1], [20, 19]]\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(FILE)
    return Study.of(load_experiment(folder / "small.yaml", ["seeds=[0, 1, 2]"]), results=folder)


@pytest.fixture(scope="module")
def tables(study):
    return run(study)


def sample_of(study, seed):
    pair = next(step for step in study.steps if step.facts.get("seed") == seed).sample.pair
    return pair.inputs.numpy(), pair.targets.numpy()


def test_the_full_batch_follows_the_gradient_of_all_examples(study, tables):
    x, y = sample_of(study, 1)
    weights = np.array([-1.0, 2.5])
    for row in tables.frames["small_sample"].query("batch_size == 20 and seed == 1").itertuples():
        assert [row.w1, row.w2] == pytest.approx(weights, abs=1e-10)
        assert row.loss == pytest.approx(((x @ weights - y) ** 2).mean()) and row.epoch == row.update
        weights = weights - 0.1 * 2 * x.T @ (x @ weights - y) / 20


def test_an_epoch_of_single_examples_takes_each_once(study, tables):
    x, y = sample_of(study, 2)
    way = tables.frames["small_sample"].query("batch_size == 1 and seed == 2")
    places = way[["w1", "w2"]].to_numpy()
    for epoch in (1, 2):
        left = set(range(20))
        for update in np.flatnonzero(way["epoch"] == epoch):
            before, moved = places[update - 1], places[update] - places[update - 1]
            fits = [i for i in left if np.allclose(moved, -0.2 * (x[i] @ before - y[i]) * x[i], atol=1e-12)]
            left -= {fits[0]}
        assert not left


def test_lengths_displacements_and_the_least_loss_are_those_of_the_places(study, tables):
    x, y = sample_of(study, 0)
    best = np.linalg.solve(x.T @ x, x.T @ y)
    for size in (1, 20):
        way = tables.frames["small_sample"].query(f"batch_size == {size} and seed == 0")
        places = way[["w1", "w2"]].to_numpy()
        steps = np.hypot(*np.diff(places, axis=0).T)
        assert way["length"].to_numpy()[1:] == pytest.approx(np.cumsum(steps))
        assert way["displacement"].to_numpy() == pytest.approx(np.hypot(*(places - places[0]).T))
        gap = ((places - best) @ (x.T @ x / 20) * (places - best)).sum(1)
        assert way["excess"].to_numpy() == pytest.approx(gap, abs=1e-9)


def test_what_is_said_is_judged_by_the_tables(tables):
    said = list(sentences(tables))
    assert said[0].startswith("L4 holds") and "1 for 20 by 20, 20 for 20 by 1." in said[0]
    assert "1 for 20 by 19, not 2" in said[0]
    assert said[1].startswith("Fig. 3.8 holds after 10 epochs of each")
    assert "lower with 1" in next(line for line in said if line.startswith("Loss above the least one after 10 epochs"))
    wrong = tables.frames["small_sample_loaders"].assign(walked=3)
    assert next(sentences(tables.having(small_sample_loaders=wrong))).startswith("L4 does not hold")
    rows = tables.frames["small_sample"]
    straight = tables.having(small_sample=rows.assign(length=rows["displacement"] * (1 + rows["batch_size"] / 100)))
    assert any(line.startswith("Fig. 3.8 does not hold") for line in sentences(straight))


def test_it_is_drawn_with_an_animation_of_one_frame_an_update(tables, tmp_path):
    files = {path.name: path for path in KIND.draw(tables, tmp_path / "drawn")}
    names = {"small_sample.csv", "small_sample.pdf", "small_sample.png"}
    assert set(files) == names | {"small_sample_descending.gif", "small_sample_descending.html"}
    with Image.open(files["small_sample_descending.gif"]) as picture:
        assert picture.n_frames == 121


def test_sizes_between_have_a_map_and_a_colour_of_their_own(file, tmp_path):
    few = Study.of(load_experiment(file, ["batch_sizes=[4, 20, 1]", "seeds=[3]", "epochs=2"]), results=tmp_path)
    found = run(few)
    assert KIND.draw(found, tmp_path / "drawn") and "undecided" in " ".join(sentences(found))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["batch_sizes=[30, 1]"], "batch_sizes must be at most the 20 examples, got 30."),
        (["loaders=[[5, 6]]"], "loaders must have no batch larger than its examples, got [5, 6]."),
        (["examples=2"], "examples must be at least 3"),
        (["sizes=[1]"], "unknown key 'sizes'"),
    ],
)
def test_bad_settings_are_one_line(file, tmp_path, changes, message):
    with pytest.raises(ConfigError) as error:
        Study.of(load_experiment(file, changes), results=tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_budget_cuts_the_epochs_and_says_so(file, tmp_path):
    planned = Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path)
    assert [remark.text for remark in planned.reduced] == ["5 of 10 epochs"]

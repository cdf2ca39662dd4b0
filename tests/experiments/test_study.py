"""A whole experiment, against networks loaded and evaluated by hand."""

import copy
import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, epsilon_sharpness
from flatmin.data import load
from flatmin.experiments import Study, run
from flatmin.networks import F1
from flatmin.results import Tables
from flatmin.training import start_network


@pytest.fixture(scope="module")
def study(experiment, tmp_path_factory):
    return Study.of(experiment(measured=True, seeds=[0, 1]), results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def tables(study):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flatmin.figures.render", lambda tables, out: out.mkdir() or [])
        return run(study, draw=study.kind.draw)


def test_tables_do_not_say_in_which_folder_of_this_machine_the_data_lay(study, tmp_path):
    lain = dataclasses.replace(study, origins={"data": {"place": str(tmp_path / "MNIST" / "raw"), "verified": True}})
    assert lain.plan.provenance["data"] == {"place": "MNIST/raw", "verified": True}


def network(study: Study, regime: str, seed: int = 0) -> F1:
    (step,) = (s for s in study.steps if s.kind == "trained" and (s.facts["regime"], s.facts["seed"]) == (regime, seed))
    arrays = np.load(study.workplace.record(step).folder / "arrays.npz")
    loaded = F1((1, 8, 8), 10, width=4)
    loaded.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return loaded


def score(model: torch.nn.Module, split: str, mode: str) -> tuple[float, float]:
    """Loss and accuracy of a plain forward pass over the first 40 examples."""
    data = getattr(load("digits"), split).first(40)
    model = copy.deepcopy(model).train(mode == "batch")
    with torch.no_grad():
        outputs = model(data.inputs)
    hits = (outputs.argmax(1) == data.targets).double().mean()
    return float(cross_entropy(outputs, data.targets)), float(hits)


def moved(model: F1, change) -> F1:
    """The network with every parameter replaced by ``change(name, parameter)``."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(change(name, parameter))
    return model


def rows(frame: pd.DataFrame, **where: object) -> pd.DataFrame:
    for column, value in where.items():
        near = np.isclose(frame[column], value) if isinstance(value, float) else frame[column] == value
        frame = frame[near]
    return frame


def value(frame: pd.DataFrame, **where: object) -> tuple[float, float]:
    found = rows(frame, **where)
    assert len(found) == 1, where
    return found["loss"].item(), found["accuracy"].item()


def test_every_table_is_complete(tables):
    sizes = {name: len(frame) for name, frame in tables.frames.items() if len(frame)}
    lines = 2 * 2 * 2 * 4 * 2 + 2 * 2 * 3 * 2  # seeds, curves, readings, points, splits; seeds, regimes, points, splits
    assert sizes == {
        "curves": 2 * 2 * 2 * 2,
        "minima": 4,
        "sharpness": 4 * 2 * 2,
        "lines": lines,
        "planes": 3 * 9 * 2,
        "points": 3,
    }
    assert set(tables.lines["kind"]) == {"linear", "curved", "random"}
    assert set(tables.planes["kind"]) == {"random", "three_points"}
    assert tables.provenance["reduced"][4]["text"] == "Trained on the first 80 of 1,437 examples"


def test_tables_on_disk_are_those_returned(study, tables):
    assert Tables.read(study.folder / "tables").digest() == tables.digest()


def test_both_regimes_start_at_the_same_network(tables):
    start = rows(tables.curves, epoch=0)
    for _, group in start.groupby(["seed", "split"]):
        assert group["loss"].nunique() == 1
    assert start.groupby("seed")["loss"].mean().nunique() == 2


def test_minima_hold_the_last_epoch_and_the_distance(study, tables):
    small = network(study, "small_batch")
    start = start_network(lambda: F1((1, 8, 8), 10, width=4), 0)
    pairs = zip(small.parameters(), start.parameters(), strict=True)
    distance = math.sqrt(sum(float(((p - s).detach().double() ** 2).sum()) for p, s in pairs))
    (row,) = rows(tables.minima, regime="small_batch", seed=0).to_dict("records")
    assert row["distance_from_start"] == pytest.approx(distance, rel=1e-6)
    assert row["batch_size"] == 16 and row["status"] == "chance"
    last = value(tables.curves, regime="small_batch", seed=0, epoch=1, split="test")
    assert (row["test_loss"], row["test_accuracy"]) == last


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 1.0, 2.0])
def test_paths_equal_a_plain_forward(study, tables, alpha, split):
    small, large = network(study, "small_batch"), network(study, "large_batch")
    ends = dict(large.named_parameters())
    straight = moved(small, lambda name, p: (1 - alpha) * p + alpha * ends[name])
    bent = moved(small, lambda name, p: math.cos(alpha * math.pi / 2) * p + math.sin(alpha * math.pi / 2) * ends[name])
    for kind, model in (("linear", straight), ("curved", bent)):
        found = value(tables.lines, kind=kind, batch_norm="batch", seed=0, split=split, alpha=alpha)
        assert found == pytest.approx(score(model, split, "batch"), rel=1e-5)


def test_interpolated_path_ends_at_both_networks_as_they_are(study, tables):
    for alpha, regime in ((0.0, "small_batch"), (1.0, "large_batch")):
        found = value(tables.lines, kind="linear", batch_norm="interpolated", seed=1, split="test", alpha=alpha)
        assert found == pytest.approx(score(network(study, regime, 1), "test", "running"), rel=1e-5)


def test_random_slices_pass_through_each_minimum_and_share_the_draw(study, tables):
    for regime in ("small_batch", "large_batch"):
        here = score(network(study, regime), "train", "batch")
        assert value(tables.lines, kind="random", regime=regime, seed=0, split="train", alpha=0.0) == pytest.approx(
            here
        )
        cell = {"kind": "random", "regime": regime, "split": "train", "alpha": 0.0, "beta": 0.0}
        assert value(tables.planes, **cell) == pytest.approx(here)


def test_three_point_plane_equals_a_plain_forward(study, tables):
    small, large = network(study, "small_batch"), network(study, "large_batch")
    start = start_network(lambda: F1((1, 8, 8), 10, width=4), 0)
    flat = [torch.cat([p.detach().double().reshape(-1) for p in m.parameters()]) for m in (start, small, large)]
    first = flat[1] - flat[0]
    first /= first.norm()
    second = flat[2] - flat[0] - first * ((flat[2] - flat[0]) @ first)
    second /= second.norm()
    points = tables.points.set_index("label")[["alpha", "beta"]]
    assert points.loc["start"].tolist() == [0, 0]
    for label, weights in (("small_batch", flat[1]), ("large_batch", flat[2])):
        there = [float((weights - flat[0]) @ axis) for axis in (first, second)]
        assert points.loc[label].tolist() == pytest.approx(there, abs=1e-6)
    for cell in rows(tables.planes, kind="three_points", split="train").iloc[[0, 5, 7]].to_dict("records"):
        model = copy.deepcopy(small)
        point = (flat[0] + cell["alpha"] * first + cell["beta"] * second).float()
        torch.nn.utils.vector_to_parameters(point, model.parameters())
        assert (cell["loss"], cell["accuracy"]) == pytest.approx(score(model, "train", "batch"), rel=1e-4)


@pytest.mark.parametrize(("space", "subspace_dim"), [("full", None), ("random", 5)])
def test_sharpness_equals_a_direct_search(study, tables, space, subspace_dim):
    data = load("digits").train.first(20)
    batches = [(data.inputs, data.targets)]
    objective = Objective(network(study, "large_batch", 1), cross_entropy, batches, batch_norm="batch")
    for epsilon in (5e-4, 1e-3):
        direct = epsilon_sharpness(objective, epsilon=epsilon, subspace_dim=subspace_dim, method="paper", seed=0)
        (row,) = rows(tables.sharpness, regime="large_batch", seed=1, space=space, epsilon=epsilon).to_dict("records")
        assert row["sharpness"] == float(direct)
        assert row["evaluations"] == direct.evaluations and row["examples"] == 20


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file but the locks."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("lock")
    }


def test_second_run_does_nothing(study, tables, drawings):
    before = files(study.folder)
    assert not any("ckpt" in name or "jsonl" in name for name in before)
    assert run(study, draw=study.kind.draw).digest() == tables.digest()
    assert files(study.folder) == before and not drawings


@pytest.mark.parametrize("harm", ["half", "gone", "value"])
def test_a_finished_run_restores_its_tables(study, tables, drawings, harm):
    path = study.folder / "tables" / "minima.csv"
    whole = path.read_text()
    path.write_text({"half": whole[: len(whole) // 2], "gone": "", "value": whole.replace("0.", "1.")}[harm])
    if harm == "gone":
        path.unlink()
    run(study, draw=study.kind.draw)
    assert path.read_text() == whole and len(drawings) == 1
    assert Tables.read(study.folder / "tables").digest() == tables.digest()


def test_changed_setting_makes_new_records_and_keeps_the_old(study, tables, experiment, drawings):
    before = files(study.folder)
    changed = experiment(measured=True, slices=None, training={"epochs": 2})
    changed = Study.of(changed, results=study.folder.parent)
    found = run(changed, draw=changed.kind.draw)
    after = files(study.folder)
    kept = {name: content for name, content in before.items() if "/" in name and not name.startswith("tables")}
    assert kept.items() <= after.items()
    assert set(found.curves["epoch"]) == {0, 1, 2} and set(found.sharpness["seed"]) == {0}
    run(study, draw=study.kind.draw)
    assert Tables.read(study.folder / "tables").digest() == tables.digest()
    assert len(drawings) == 2

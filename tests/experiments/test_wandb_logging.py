"""The W&B mirror: what it is told, and that nothing it does stops a run."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import wandb

import flatmin.training.trainer
from flatmin.experiments import run, wandb_logging
from flatmin.experiments.wandb_runs import Runs
from flatmin.training.record_keeping import RecordKeeper


class Run:
    """What the mirror uses of a W&B run."""

    def __init__(self, **settings):
        self.settings, self.id = SimpleNamespace(**settings), settings["id"] or "made-up"
        self.rows, self.summary, self.axes, self.finished = [], {}, [], False

    def define_metric(self, name, step_metric):
        self.axes.append((name, step_metric))

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        self.finished = True


@pytest.fixture
def runs(monkeypatch):
    opened = []

    def init(**settings):
        opened.append(Run(**settings))
        return opened[-1]

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb_logging, "Process", Here)
    return opened


class Here:
    """Does in this process what the mirror's own would do."""

    def __init__(self, folder):
        self.runs = None

    def tell(self, message):
        if self.runs is None:
            self.runs = Runs(**message[1])
            return ""
        return self.runs.tell(message)

    def close(self, patience):
        return ""


@pytest.fixture
def mirrored(make):
    return make(resources={"device": "cpu", "wandb": {"mode": "offline", "project": "flat", "entity": "team"}})


def test_one_run_a_network_with_its_curves_and_one_for_the_study(mirrored, runs, drawings):
    run(mirrored, draw=mirrored.kind.draw)
    small, large, study = runs
    assert [r.settings.job_type for r in runs] == ["small_batch", "large_batch", "study"]
    assert {(r.settings.group, r.settings.project, r.settings.entity, r.settings.mode) for r in runs} == {
        ("tiny", "flat", "team", "offline")
    }
    assert all(r.finished and r.settings.dir == mirrored.folder for r in runs)
    step = mirrored.steps[0]
    record = mirrored.workplace.record(step)
    assert small.settings.name == step.label and record.id.startswith(small.id) and small.id != large.id
    assert small.settings.config == step.setup
    assert small.axes == [("*", "epoch")]
    curve = record.table("curves").query("split == 'test'")["loss"].tolist()
    assert [(row["epoch"], row["test_loss"]) for row in small.rows] == list(enumerate(curve))
    assert small.summary == record.result
    assert study.settings.name == "tiny-study" and study.settings.config["data"]["name"] == "digits"


def test_study_has_tables_images_and_means(make, runs, monkeypatch):
    def render(tables, out):
        out.mkdir()
        for name in ("path.png", "path.pdf", "surface.html"):
            (out / name).touch()
        return list(out.iterdir())

    monkeypatch.setattr("flatmin.figures.render", render)
    monkeypatch.setattr(wandb, "Image", lambda path: path)
    monkeypatch.setattr(wandb, "Html", lambda path: ("page", path))
    wandb_on = {"device": "cpu", "wandb": {"mode": "offline"}}
    sharpness = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20}
    study = make(sharpness=sharpness, resources=wandb_on)
    tables = run(study, draw=study.kind.draw)
    (row,) = runs[-1].rows
    tables_logged = {"tables/minima", "tables/sharpness", "tables/summary", "tables/ratios"}
    assert set(row) == {"figures/path", "interactive/surface", *tables_logged}
    assert row["interactive/surface"] == ("page", str(study.folder / "figures" / "surface.html"))
    assert row["figures/path"] == str(study.folder / "figures" / "path.png")
    assert len(row["tables/sharpness"].data) == len(tables.sharpness) == 4
    value = runs[-1].summary["small_batch/sharpness/full/0.001/paper/batch"]
    assert value == tables.sharpness.query("regime == 'small_batch' and epsilon == 0.001")["sharpness"].item()
    assert "large_batch/test_accuracy" in runs[-1].summary


def test_finished_experiment_makes_no_further_run(mirrored, runs, drawings):
    run(mirrored, draw=mirrored.kind.draw)
    run(mirrored, draw=mirrored.kind.draw)
    assert len(runs) == 3


def test_resumed_training_has_all_its_epochs_under_the_same_id(make, runs, drawings, monkeypatch):
    study = make(training={"epochs": 3}, resources={"device": "cpu", "wandb": {"mode": "offline"}})
    monkeypatch.setattr(flatmin.training.trainer, "CHECKPOINT_SECONDS", 0.0)
    write_down = RecordKeeper._write_down

    def interrupted(self, trainer, module, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return write_down(self, trainer, module, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(RecordKeeper, "_write_down", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            run(study, draw=study.kind.draw)
    run(study, draw=study.kind.draw)
    killed, resumed = runs[:2]
    assert killed.id == resumed.id and resumed.finished
    assert sorted(row["epoch"] for row in resumed.rows) == [0, 1, 2, 3]
    assert killed.rows[0] in resumed.rows


def fail(*args, **kwargs):
    raise wandb.errors.CommError("no answer\nand a long story")


@pytest.mark.parametrize("moment", ["init", "define_metric", "log", "finish"])
def test_failure_is_one_warning_and_the_run_goes_on(mirrored, runs, drawings, caplog, monkeypatch, moment):
    monkeypatch.setattr(*((wandb, "init") if moment == "init" else (Run, moment)), fail)
    assert len(run(mirrored, draw=mirrored.kind.draw).minima) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Weights & Biases is left out from here on: no answer"
    ]
    assert len(runs) == (0 if moment == "init" else 1)


def test_disabled_does_not_import_wandb(experiment, tmp_path):
    code = f"""
import sys, pathlib
import flatmin.figures
from flatmin.experiments import Study, run
from flatmin.studies.comparison.settings import Comparison
flatmin.figures.render = lambda tables, out: []
made = Comparison.model_validate_json({experiment().model_dump_json()!r})
study = Study.of(made, results=pathlib.Path({str(tmp_path)!r}))
run(study, draw=study.kind.draw)
print("wandb" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert not list(tmp_path.rglob("wandb"))


def test_offline_files_hold_what_was_logged(make, drawings, offline_runs):
    sharpness = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20}
    wandb_on = {"device": "cpu", "wandb": {"mode": "offline", "project": "flat", "entity": "team"}}
    study = make(training={"epochs": 3}, sharpness=sharpness, resources=wandb_on)
    tables = run(study, draw=study.kind.draw)
    runs = offline_runs(study.folder)
    assert set(runs) == {"small_batch", "large_batch", "study"} and all(read.ended for read in runs.values())
    starts = [read.start for read in runs.values()]
    assert {(s.run_group, s.project, s.entity, tuple(s.tags)) for s in starts} == {
        ("tiny", "flat", "team", ("F1", "digits"))
    }
    for regime in ("small_batch", "large_batch"):
        rows = runs[regime].history
        assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
        for split in ("train", "test"):
            curve = tables.curves[(tables.curves["regime"] == regime) & (tables.curves["split"] == split)]
            assert [row[f"{split}_loss"] for row in rows] == curve["loss"].tolist()
            assert [row[f"{split}_accuracy"] for row in rows] == curve["accuracy"].tolist()
        minimum = tables.minima.set_index("regime").loc[regime]
        logged = runs[regime].summary
        for key in ("status", "epochs", "train_loss", "test_accuracy", "distance_from_start"):
            assert logged[key] == minimum[key]
        for row in tables.sharpness[tables.sharpness["regime"] == regime].itertuples():
            assert runs["study"].summary[f"{regime}/sharpness/full/{row.epsilon:g}/paper/batch"] == row.sharpness

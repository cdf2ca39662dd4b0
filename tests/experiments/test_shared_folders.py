"""A folder that several runs share: its tables and figures are those of one experiment, whoever wrote last."""

import pytest

import flatmin.figures
from flatmin.experiments import Study, run
from flatmin.experiments.plans import last_plan
from flatmin.results import Tables
from flatmin.studies.remedies.settings import Remedies

ONE_MEASURE = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20}


@pytest.fixture
def named_figures(monkeypatch):
    """A figure for every seed and every table that has rows, of one byte."""

    def render(tables, out):
        out.mkdir(parents=True, exist_ok=True)
        names = [name for name, frame in tables.frames.items() if len(frame)]
        names += [f"seed{seed}" for seed in tables.minima["seed"].unique()]
        written = [out / f"{name}{kind}" for name in names for kind in (".pdf", ".png")]
        for path in written:
            path.write_bytes(b".")
        return written

    monkeypatch.setattr(flatmin.figures, "render", render)


def drawn(study):
    return {path.stem for path in (study.folder / "figures").iterdir()}


def test_tables_of_two_processes_are_those_of_one(make, experiment, tmp_path, named_figures):
    for seeds in ([1], [0]):
        tables = run(study := make(seeds=seeds, sharpness=ONE_MEASURE), draw=study.kind.draw)
    assert drawn(study) == {"curves", "minima", "sharpness", "seed0", "seed1"}
    assert tables.provenance["experiment"]["seeds"] == [0, 1]
    whole = type(study).of(experiment(seeds=[0, 1], sharpness=ONE_MEASURE), results=tmp_path / "whole")
    run(whole)
    for path in (whole.folder / "tables").glob("*.csv"):
        assert (study.folder / "tables" / path.name).read_bytes() == path.read_bytes()


def test_other_settings_are_another_experiment_and_leave_no_foreign_figures(make, named_figures):
    whole = make(seeds=[0, 1], sharpness=ONE_MEASURE)
    run(whole, draw=whole.kind.draw)
    own = whole.folder / "figures" / "mine.png"
    own.write_bytes(b"mine")
    cut = make(seeds=[0], budget=0.5, training={"epochs": 4})
    assert set(run(cut, draw=cut.kind.draw).minima["epochs"]) == {2}
    assert drawn(cut) == {"curves", "minima", "seed0", "mine"}
    assert len(run(whole, draw=whole.kind.draw).minima) == 4
    assert drawn(whole) == {"curves", "minima", "sharpness", "seed0", "seed1", "mine"}


def test_a_seed_of_a_users_own_network_is_a_setting_like_any_other(make, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\ndef network(seed):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    for seed in (1, 2):
        tables = run(make(network={"call": f"{tmp_path / 'own.py'}:network", "seed": seed}))
    assert len(tables.minima) == 2


def test_what_was_tuned_with_another_seed_is_another_experiment(experiment, tmp_path):
    for seed, seeds, trained in ((1000, [0], 2), (1001, [0], 2), (1001, [1], 4)):
        tuning = {"factors": [0.5, 1.0], "seed": seed, "validation": 20}
        settings = experiment(seeds=seeds).model_dump() | {"kind": "remedies", "tuning": tuning}
        tables = run(Study.of(Remedies.model_validate(settings), results=tmp_path))
        assert (len(tables.minima), len(tables.frames["tuning"])) == (trained, 2)


def test_figures_from_before_there_were_notes_of_them_go_too(make, named_figures):
    whole = make(seeds=[0, 1])
    run(whole, draw=whole.kind.draw)
    (whole.folder / ".drawn").write_text("0" * 64)
    cut = make(seeds=[0], training={"epochs": 2})
    run(cut, draw=cut.kind.draw)
    assert drawn(cut) == {"curves", "minima", "seed0"}


def test_figure_that_has_gone_is_drawn_again(make, named_figures):
    study = make()
    run(study, draw=study.kind.draw)
    (study.folder / "figures" / "minima.pdf").unlink()
    run(study, draw=study.kind.draw)
    assert (study.folder / "figures" / "minima.pdf").exists()


def test_plan_that_cannot_be_read_is_no_plan(make):
    study = make(seeds=[0])
    run(study)
    for damage in (b"", b"[]", b'{"steps": [1], "provenance": {}}', b"\xff"):
        for path in (study.folder / ".plans").glob("*.json"):
            path.write_bytes(damage)
        assert last_plan(study.folder) is None
        assert len(run(make(seeds=[1])).minima) == 2
    assert len(Tables.read(study.folder / "tables").minima) == 2

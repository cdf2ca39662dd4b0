"""What holds for every kind of study, because it is declared: a new one is tested by being there."""

from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

from flatmin.core.kind import USUAL, kinds
from flatmin.experiments import Study, load_experiment, run
from flatmin.experiments.config import Experiment
from flatmin.experiments.step import Step, with_facts
from flatmin.measures import measures
from flatmin.results import COLUMNS, identity
from flatmin.results.schema import columns, text_columns

SHIPPED = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
EVERY = pytest.mark.parametrize("kind", kinds().values(), ids=list(kinds()))


@EVERY
def test_it_is_that_of_its_folder_and_its_files_say_so(kind):
    assert import_module(f"flatmin.studies.{kind.name}").KIND is kind and kind.words
    fields = kind.settings.model_fields
    assert issubclass(kind.settings, Experiment) and fields["kind"].default == kind.name
    with pytest.raises(ValidationError, match="kind"):
        kind.settings.model_validate({"name": "x", "kind": "another"})
    assert set(kind.shorthand) <= set(fields)


@EVERY
def test_its_tables_are_its_own_and_their_columns_read_as_declared(kind):
    assert not set(kind.columns) & (set(COLUMNS) | set(measures()))
    for table, names in kind.columns.items():
        assert columns()[table] == names and len(set(names)) == len(names)
        assert {name for name in names if name in text_columns(table)} == {name for name in names if name in kind.text}


FEW = ["data={name: digits, examples: 40}", "hidden=2", "steps={gradient_norm: 5, saddle_free_newton: 2}"]
SMALL = {
    "edge_of_stability": ["data={name: digits, examples: 40}", "width=4", "steps=4", "every=2"],
    "dinh": ["data={name: digits, examples: 40}", "pool=1", "width=3", "updates=5", "measures=[top_eigenvalue]"],
    "book_fig_3_11": [
        *("data=[{name: digits, examples: 40}]", "width=3", "batch_sizes=[10, 100%]", "seeds=[0]", "epochs=1"),
        *("updates=2", "seconds=1e-3", "resources.device=cpu"),
    ],
    "book_fig_3_9": [
        *("data={name: digits, examples: 40}", "width=3", "batch_sizes=[1, 10, 100%]", "repeats=2", "visit=1e-6"),
        "resources.device=cpu",
    ],
    "book_fig_3_5": [*FEW, "plane.points=3"],
    "book_fig_3_6": [*FEW, "seeds=[0, 1]", "updates=[0, 2]"],
    "book_momentum": [
        *("data={name: digits, examples: 40}", "width=4", "seeds=[0, 1]", "identity.steps=4", "ball.momenta=4"),
        *("ball.steps=300", "ends={epochs: 1, momenta: [0, 0.9]}"),
    ],
    "book_fig_3_8": ["seeds=[0, 1]", "epochs=2", "loaders=[[20, 1]]"],
    "book_fig_3_12": [
        *("data={name: digits, examples: 40}", "pool=1", "width=2", "seeds=[0]", "epochs=[0, 1]", "batch_sizes=[2, 5]"),
        *("draws=4", "least=8", "stuck={batch_sizes: [8], steps: 5, descent: 2, points: 5}"),
    ],
    "book_fig_3_13": [
        *("data={name: digits, examples: 60}", "test_examples=30", "pool=1", "width=4", "target=0.5", "epochs=40"),
        *("seeds=[0]", "points=7", "directions={random: 1, steepest: 1}"),
    ],
    "book_table_3_1": [
        *("data={name: digits, examples: 40}", "test_examples=30", "pool=1", "width=4", "small_batch=5", "epochs=2"),
        *("large_batch=20", "seeds=[0]", "draws=3", "rounds=2", "target=2.0"),
    ],
    "connectivity": [
        *("data={name: digits, examples: 60}", "network={name: F1, width: 4}", "small_batch=20", "large_batch=60"),
        *("seeds=[0]", "training.epochs=1", "pairs=[small_large]", "matching=[weights]", "points=3"),
        *("plane=3", "curves={forms: [bezier], epochs: 1, batch_size: 20}"),
    ],
    "remedies": [
        *("data={name: digits, examples: 60}", "network={name: F1, width: 4}", "training.epochs=1", "seeds=[0]"),
        *("regimes={small_batch: {batch_size: 10}, large_batch: {batch_size: 50%}}", "tuning={factors: [1, 2]}"),
        *("sharpness={examples: 20, epochs: null}", "top_eigenvalue={examples: 20, epochs: [1]}", "slices=null"),
        "adaptive_worst_case_linf=null",
        "variations={swap: {batch_size: 50%, swap: {batch_size: 10, epochs: 1, workers: 2}}}",
    ],
    "correlation": [
        *("data={name: digits, examples: 60}", "pool=1", "batch_sizes=[20]", "learning_rates=[0.3]", "widths=[4, 6]"),
        *("seeds=[0]", "target=2.2", "epochs=4", "resamples=100", "measures=[path_norm, rounding_rise]"),
    ],
    "weight_distance": [
        *("data={name: digits, examples: 40}", "network={name: F1, width: 4}", "batch_sizes=[10, 100%]", "seeds=[0]"),
        *("updates=10", "points=10"),
    ],
    "noise_scale": [
        *("data={name: digits, examples: 40}", "test_examples=40", "pool=1", "width=4", "batch_sizes=[10, 20]"),
        *("learning_rates=[0.1, 0.4]", "seeds=[0, 1]", "target=2.2", "epochs=4", "equal_epochs=2"),
        "swap={learning_rate: 0.1, batch_size: 10, at: [1], epochs: 2}",
    ],
}
"""What makes a file of its kind cheap; the others are run as they are."""
OTHER_KINDS = [path for path in SHIPPED if load_experiment(path).kind != USUAL]


@pytest.mark.parametrize("path", OTHER_KINDS, ids=lambda path: path.stem)
def test_steps_are_told_apart_say_how_far_they_are_and_leave_what_is_declared(path, tmp_path):
    study = Study.of(load_experiment(path, SMALL.get(path.stem, [])), results=tmp_path)
    asked = [name for name in vars(Step) if not name.startswith("_")]
    assert study.steps and not [(step, name) for step in study.steps for name in asked if not hasattr(step, name)]
    assert len({(step.kind, step.label) for step in study.steps}) == len(study.steps)
    assert len({(step.kind, identity(step.setup)) for step in study.steps}) == len(study.steps)
    tables = run(study)
    for step in study.steps:
        shares = []
        outcome = step.run(study.workplace, tmp_path, shares.append)
        assert sum(shares) == pytest.approx(1) and set(outcome.tables) <= {*study.kind.columns, *COLUMNS}
        for name, frame in outcome.tables.items():
            assert tuple(with_facts(name, frame, step.facts)) == columns()[name]
    assert all(step.found(record) for step, record, _ in study.states()) and list(study.kind.printed(tables))


def test_a_table_of_a_taken_name_is_refused(monkeypatch):
    toy = kinds()["toy"]
    again = {"toy": toy, "again": type(toy)(**{**vars(toy), "name": "again"})}
    monkeypatch.setattr("flatmin.results.schema.kinds", lambda: again)
    with pytest.raises(ImportError, match="kind 'again' must name its tables as no other does, got 'critical_points'"):
        columns.__wrapped__()

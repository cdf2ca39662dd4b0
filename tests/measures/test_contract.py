"""What holds for every measure, because it is declared: a new one is tested by being there."""

import math
from collections import Counter

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.experiments import Study, run
from flatmin.experiments.budget import cut
from flatmin.experiments.measure_step import MeasureStep, misfit
from flatmin.figures.render import contents
from flatmin.measures import Measure, measures
from flatmin.measures.measure import NAMING, MeasureSettings, Specimen
from flatmin.report.measured import measured_sheet
from flatmin.report.studies import StudyResults as Reported
from flatmin.results import columns, identity
from flatmin.results.remarks import Remark
from flatmin.results.schema import text_columns
from flatmin.results.wandb_keys import shown_frames, shown_numbers
from flatmin.studies.comparison.settings import Comparison

EVERY = pytest.mark.parametrize("measure", measures().values(), ids=list(measures()))
ALWAYS = {"theta", "size"}
FEW, ALL = 24, 60


class Narrow:
    """An objective of which only what a measure says it needs can be had."""

    def __init__(self, objective, needs):
        self._objective, self._open = objective, ALWAYS | set(needs)

    def __getattr__(self, name):
        if name not in self._open:
            raise AttributeError(f"not declared: {name}")
        return getattr(self._objective, name)


@pytest.fixture
def subject():
    """Three classes of points; made anew, equal, at each call."""

    def made(needs=None):
        generator = torch.Generator().manual_seed(0)
        inputs, targets = torch.randn(ALL, 4, generator=generator), torch.arange(ALL) % 3
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))

        def on(first, count):
            objective = Objective(
                model, cross_entropy, [(inputs[first : first + count], targets[first : first + count])]
            )
            return objective if needs is None else Narrow(objective, needs)

        return Specimen(
            objective=on(0, FEW),
            following=lambda count: on(FEW, count),
            test=lambda: on(ALL - 10, 10),
            population=ALL,
            each=lambda outputs, targets: cross_entropy(outputs, targets, reduction="none"),
        )

    return made


def asked(measure):
    settings = measure.settings(**SMALL.get(measure.name, {}))
    return list(measure.plan(settings, ALL, FEW))


SMALL = {
    "sharpness": {"methods": ("paper",), "draws": 1, "subspace_dim": 3},
    "local_learning_coefficient": {"draws": 8, "burn_in": 4},
    "effort": {"evaluations": 5, "batch_norm": ("batch",)},
}
"""What makes a measure cheap; the defaults serve where there is nothing to cut."""


@EVERY
def test_settings_have_defaults_and_know_no_other_keys(measure):
    settings = measure.settings()
    assert measure.settings.model_validate(settings.model_dump()) == settings
    with pytest.raises(ValidationError, match="colour"):
        measure.settings.model_validate({"colour": 1})
    with pytest.raises(ValidationError, match="examples"):
        measure.settings.model_validate({"examples": 0})
    assert measure.settings.__doc__ and measure.words and measure.noun


@EVERY
def test_what_is_asked_is_told_apart_and_can_be_named(measure):
    found = asked(measure)
    assert found and max(Counter(one.label for one in found).values()) == 1
    assert len({identity({**one.setup, "batch_norm": one.batch_norm, "n": one.examples}) for one in found}) == len(
        found
    )
    for one in found:
        assert 0 < one.passes < math.inf and one.batch_size <= one.examples <= ALL
        assert set(one.facts) <= set(measure.table) and one.batch_norm in measure.settings().batch_norm


@EVERY
def test_columns_are_declared(measure):
    assert columns()[measure.name] == measure.table and len(set(measure.table)) == len(measure.table)
    assert set(measure.columns) | {"network", "data", "regime", "seed"} <= set(measure.table)
    assert set(measure.by) | ({measure.value} - {""}) <= set(measure.table) and set(measure.text) <= set(measure.table)
    read_as_text = {name for name in measure.table if name in text_columns(measure.name)}
    assert read_as_text <= {"network", "data", "regime", *measure.text_columns}
    if measure.by_rule:
        assert measure.value and set(NAMING) <= set(measure.table)


@EVERY
def test_run_asks_for_what_is_declared_and_leaves_what_is_declared(measure, subject):
    for one in asked(measure):
        shares = []
        rows = measure.run(subject(measure.needs), one, shares.append)
        assert rows and sum(shares) == pytest.approx(1)
        frame = pd.DataFrame(rows)
        assert set(measure.columns) - set(one.facts) <= set(frame)
        for name in set(frame) & set(measure.table):
            assert (name in measure.text) == frame[name].map(lambda value: isinstance(value, str)).all(), name
        assert measure.in_words(rows)


@EVERY
def test_run_gives_the_same_numbers_again_and_changes_nothing(measure, subject):
    (one, *_) = asked(measure)
    of = subject()
    before = of.objective.theta
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = measure.run(of, one, lambda share: None)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(of.objective.theta, before)
    torch.rand(3)
    pd.testing.assert_frame_equal(pd.DataFrame(measure.run(subject(), one, lambda share: None)), pd.DataFrame(first))


@EVERY
def test_a_budget_leaves_a_share(measure):
    assert cut(measure.settings(), 0.25, 100).examples == 25
    assert cut(measure.settings(examples=40), 0.25, 100).examples == 10
    if "epochs" in measure.settings.model_fields:
        assert cut(measure.settings(epochs=(1, 2, 8)), 0.25, 100).epochs == (1, 2)


@EVERY
def test_from_a_file_to_table_figure_mirror_and_report(measure, experiment, tmp_path):
    settings = SMALL.get(measure.name, {}) | {"examples": 20}
    made = experiment(**{measure.name: settings}, seeds=[0, 1], training={"epochs": 12, "learning_rate": 0.03})
    study = Study.of(made, results=tmp_path)
    assert {step.noun for step in study.steps} == {"networks to train", measure.noun}
    tables = run(study)
    frame = tables.frames[measure.name]
    assert set(frame["regime"]) == {"small_batch", "large_batch"} and tuple(frame.columns) == measure.table
    assert set(frame["seed"]) == ({0} if measure.dear else {0, 1})
    assert Remark(f"{measure.words} on the first 20 of 80 training examples", measure.name) in study.reduced
    assert (measure.name in {caution.concerns for caution in study.cautions}) == bool(measure.few)
    assert f"tables/{measure.name}" in shown_frames(tables)
    assert all(step.found(study.workplace.record(step)) for step in study.steps if isinstance(step, MeasureStep))
    assert any(name.startswith(measure.name) for files in contents(tables) for name in files)
    if measure.by_rule:
        keys = [key for key in shown_numbers(tables) if f"/{measure.name}/" in key]
        assert keys and all(all(key.split("/")) for key in keys)
        sheet = measured_sheet([Reported("mine", tables)])
        assert measure.words in sheet.markdown and len(sheet.frame) > 1


@EVERY
def test_a_file_may_leave_it_out(measure):
    base = {"name": "x", "data": "digits", "network": "F1"}
    assert (getattr(Comparison.model_validate(base), measure.name) is not None) == measure.by_default
    assert getattr(Comparison.model_validate(base | {measure.name: None}), measure.name) is None
    assert measure not in [one for one, _ in Comparison.model_validate(base | {measure.name: None}).asked]


DECLARED = {
    **{"name": "made_up", "words": "Made up", "noun": "made-up things", "settings": MeasureSettings},
    **{"columns": ("layer", "size"), "value": "size", "by": ("layer",), "text": ("layer",)},
    **{"plan": lambda settings, available, examples: iter(()), "run": lambda subject, asked, advance: []},
}


@pytest.mark.parametrize("wrong", [{"value": "sizes"}, {"by": ("layers",)}, {"text": ("words",)}])
def test_a_declaration_that_names_no_column_is_refused(wrong):
    assert Measure(**DECLARED).table[-2:] == ("layer", "size")
    with pytest.raises(ValueError, match=f"measure 'made_up': `{next(iter(wrong))}` must name columns of its table"):
        Measure(**DECLARED | wrong)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "must return a list of at least one row"),
        ([], "must return a list of at least one row"),
        ([{"layer": "one"}], "got none of size"),
        ([{"layer": "", "size": 1.0}], "must hold words"),
        ([{"layer": "nan", "size": 1.0}], "must hold words"),
        ([{"layer": "one", "size": "large"}], "must hold numbers"),
        ([{"layer": "one", "size": torch.tensor(1.0)}], "must hold numbers"),
        ([{"layer": "one", "size": 1.0}, {"layer": "two"}], "got none of size"),
    ],
)
def test_rows_that_are_not_as_declared_are_refused(rows, said):
    assert said in misfit(Measure(**DECLARED), rows, ["layer", "size"])
    assert not misfit(Measure(**DECLARED), [{"layer": "one", "size": math.inf, "more": None}], ["layer", "size"])

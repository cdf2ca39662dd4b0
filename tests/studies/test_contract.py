"""What holds for every kind of study, because it is declared: a new one is tested by being there."""

from importlib import import_module

import pytest
from pydantic import ValidationError

from flatmin.core.kind import kinds
from flatmin.experiments.config import Experiment
from flatmin.measures import measures
from flatmin.results import COLUMNS
from flatmin.results.schema import columns, text_columns

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
        assert {name for name in names if name in text_columns()} == {name for name in names if name in kind.text}


def test_a_table_of_a_taken_name_is_refused(monkeypatch):
    toy = kinds()["toy"]
    again = {"toy": toy, "again": type(toy)(**{**vars(toy), "name": "again"})}
    monkeypatch.setattr("flatmin.results.schema.kinds", lambda: again)
    with pytest.raises(ImportError, match="kind 'again' must name its tables as no other does, got 'critical_points'"):
        columns.__wrapped__()

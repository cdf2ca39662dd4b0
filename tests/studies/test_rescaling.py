"""What a rescaling does to measures, as a study: the same function, moved and unmoved measures."""

from pathlib import Path

import pandas as pd
import pytest

from flatmin.core.errors import ConfigError
from flatmin.core.kind import kind_named
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.rescaling.found import sentences

FILE = Path(__file__).parents[2] / "experiments" / "dinh.yaml"
SMALL = ["data={name: digits, examples: 60}", "pool=1", "width=4", "updates=30", "amounts=[0.01, 1, 100]"]


def test_r1_holds_on_a_trained_network(tmp_path):
    measured = "measures=[epsilon_sharpness, top_eigenvalue, relative_sharpness, fisher_rao]"
    tables = run(Study.of(load_experiment(FILE, [*SMALL, measured]), results=tmp_path))
    said = list(sentences(tables))
    assert said[0].startswith("R1, the function stays: holds")
    assert all("moves by more than 10 times" in line for line in said[1:3])
    assert all("the same to" in line for line in said[3:])
    rows = tables.frames["rescaling"]
    assert rows.groupby("measure")["loss"].agg(lambda loss: loss.max() - loss.min()).max() < 1e-12
    assert {path.name for path in kind_named("rescaling").draw(tables, tmp_path)} >= {"rescaling.png"}


def test_a_function_that_changes_is_said_to():
    fixed = {"symmetry": "layer_rescaling", "measure": "m", "standard_error": float("nan"), "loss": 1.0}
    rows = pd.DataFrame({"amount": [1.0, 10.0], "value": [2.0, 3.0], "outputs": [0.0, 1e-3]}).assign(**fixed)
    tables = Tables(rescaling=rows, provenance={"experiment": {"kind": "rescaling"}})
    assert "does not hold" in next(sentences(tables)) and "m: moves, from 2 to 3" in list(sentences(tables))[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("amounts=[2, 3]", "1 among them"),
        ("measures=[flatness]", "must be measures"),
        ("symmetry=rotation", "symmetry"),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        load_experiment(FILE, [*SMALL, change])

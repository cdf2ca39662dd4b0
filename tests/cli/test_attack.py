"""``flatmin attack``: what each measure makes of networks of the same function."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, epsilon_sharpness
from flatmin.networks import F1
from flatmin.symmetries import symmetries

MODELS = """
import torch
from torch import nn

def mlp(activation="ReLU"):
    return nn.Sequential(nn.Linear(3, 4), getattr(nn, activation)(), nn.Linear(4, 2))

def batches():
    inputs = torch.arange(36.0).reshape(12, 3).sin()
    return [(inputs[a:a + 5], torch.arange(12)[a:a + 5] % 2) for a in (0, 5, 10)]

def real():
    return [(inputs, inputs[:, :2]) for inputs, _ in batches()]
"""
NET = ("--network", "attacked_models.py:mlp", "--data", "attacked_models.py:batches")
CHEAP = ("--measure", "average_case_sharpness")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    (tmp_path / "attacked_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.save(model.state_dict(), "it.pt")
    return model


def test_each_symmetry_that_has_a_place_is_tried_and_the_rest_left_out(model: nn.Module, flatmin: Any) -> None:
    said = flatmin("attack", "it.pt", *NET, "--measure", "average_case", "--json", "--output", "t.csv")
    assert (said.status, said.err) == (0, "")
    told = json.loads(said.out)
    assert set(told["symmetries"]) == {"layer_rescaling", "node_rescaling", "logit_shift", "permutation", "partition"}
    assert set(told["left_out"]) == {"attention", "batch_norm_scale"}
    assert told["left_out"]["batch_norm_scale"] == "no layer with weights of its own feeds a BatchNorm"
    rows = {(row["measure"], row["symmetry"]): row for row in told["measures"]}
    assert all(row["outputs"] < 1e-12 for row in rows.values())
    assert rows["average_case_sigma_0.01_absolute", "logit_shift"]["judged"] == "unchanged"
    assert rows["average_case_sigma_0.01_absolute", "permutation"]["judged"] in ("unchanged", "within error")
    table = [*csv.DictReader(Path("t.csv").read_text().splitlines())]
    assert [*table[0]][:4] == ["measure", "symmetry", "amount", "before"] and len(table) == len(rows)


def test_numbers_before_and_after_are_those_of_the_map_written_out(model: nn.Module, flatmin: Any) -> None:
    options = ("--measure", "epsilon_sharpness", "--symmetry", "layer_rescaling", "--symmetry", "partition", "--json")
    rescaled, cut = json.loads(flatmin("attack", "it.pt", *NET, *options, "--amount", "20").out)["measures"]
    with torch.no_grad():
        inputs, double = torch.arange(36.0).reshape(12, 3).sin(), model.double()
        values = [float(epsilon_sharpness(Objective(double, cross_entropy, [(inputs, torch.arange(12) % 2)])))]
        for tensor, by in ((double[0].weight, 20), (double[0].bias, 20), (double[2].weight, 0.05)):
            tensor.mul_(by)
        values += [float(epsilon_sharpness(Objective(double, cross_entropy, [(inputs, torch.arange(12) % 2)])))]
    assert [rescaled["before"], rescaled["after"]] == pytest.approx(values, rel=1e-3)
    assert rescaled["judged"] == "moved" and rescaled["ratio"] == pytest.approx(values[1] / values[0], rel=1e-3)
    assert cut["judged"] == "unchanged" and cut["ratio"] == pytest.approx(1, rel=1e-3)


def test_the_table_says_what_moved_and_what_was_left_out(model: nn.Module, flatmin: Any) -> None:
    said = flatmin("attack", "it.pt", *NET, "--with", "activation=Tanh", *CHEAP)
    for words in ("average_case_sharpness", "permutation", "computed in float64", "26 weights of it.pt"):
        assert words in said.out
    assert "left out: node_rescaling: no two of its Linear, convolutional or BatchNorm layers follow" in said.out


def test_searches_that_end_early_are_one_caution_a_measure(
    model: nn.Module, flatmin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfinished(objective: Any, **_: Any) -> Any:
        return replace(epsilon_sharpness(objective), converged=False)

    monkeypatch.setattr("flatmin.measures.readings.measure_named", lambda name: unfinished)
    options = ("--measure", "epsilon_sharpness", "--symmetry", "partition", "--symmetry", "permutation", "--json")
    told = json.loads(flatmin("attack", "it.pt", *NET, *options).out)
    (caution,) = [caution for caution in told["cautions"] if "converged" in caution]
    assert caution.startswith("epsilon_sharpness (as it is, partition, permutation) has not converged")


def test_what_the_loss_sees_is_left_out(model: nn.Module, flatmin: Any, tmp_path: Path) -> None:
    data = ("--network", "attacked_models.py:mlp", "--data", "attacked_models.py:real")
    told = json.loads(flatmin("attack", "it.pt", *data, *CHEAP, "--json").out)
    assert told["left_out"]["logit_shift"].startswith("the loss sees it, and goes from")
    torch.save(F1(input_shape=(1, 8, 8), width=4).state_dict(), "f1.pt")
    rest = ("--network", "F1", "--with", "width=4", "--data", "digits", "--examples", "60", *CHEAP)
    for reading in ("batch", "running"):
        told = json.loads(flatmin("attack", "f1.pt", *rest, "--batch-norm", reading, "--json").out)
        assert ("partition" in told["left_out"]) == (reading == "batch")
        assert told["symmetries"]["batch_norm_scale"].startswith("5 places, outputs equal to")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--symmetry", "rotation"), "--symmetry must be one of attention, batch_norm_scale, layer_rescaling"),
        (("--symmetry", "attention"), "--symmetry attention: it has no nn.MultiheadAttention; from Python name its"),
        (("--measure", "sharpnes"), "--measure: there is no measure 'sharpnes'"),
        (("--amount", "0"), "--amount must be positive and finite, got 0."),
        (("--amount", "nan"), "--amount must be positive and finite, got nan."),
        (("--batch-norm", "interpolated"), "--batch-norm must be one of running, batch, reestimate"),
        (("--output", "t.txt"), "--output must end in .csv, got t.txt."),
    ],
)
def test_bad_input_is_one_line(arguments: Any, message: str, model: nn.Module, flatmin: Any) -> None:
    said = flatmin("attack", "it.pt", *NET, *CHEAP, *arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Error: ") and message in said.err and said.err.count("\n") == 1


def test_a_dear_measure_is_left_out_with_its_price(
    model: nn.Module, flatmin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flatmin.cli.attacked.CHEAP", 79.0)
    told = json.loads(flatmin("attack", "it.pt", *NET, "--symmetry", "permutation", "--json").out)
    assert told["left_out"]["average_case"] == "it costs 80 passes over the examples; name it by --measure"
    assert {row["measure"] for row in told["measures"]} >= {"epsilon_sharpness"}


def test_a_measure_that_cannot_be_taken_is_left_out_unless_it_was_asked_for(
    model: nn.Module, flatmin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_before(objective: Any) -> float:
        if float(objective.theta.abs().max()) > 50:
            raise ValueError("the weights are too large")
        return 1.0

    def never(objective: Any) -> float:
        raise ValueError("it has no meaning here")

    for function, left_out, asked in (
        (never, {"average_case": "taking average_case: ValueError: it has no meaning here"}, 2),
        (only_before, {"average_case after layer_rescaling": "taking average_case after layer_rescaling: "}, 0),
    ):
        known = {"epsilon_sharpness": lambda objective, seed: 1.0, "average_case": function}
        monkeypatch.setattr("flatmin.measures.readings.measure_named", lambda name, known=known: known.get(name, never))
        options = ("--symmetry", "layer_rescaling", "--amount", "1e4", "--json")
        told = json.loads(flatmin("attack", "it.pt", *NET, *options).out)
        assert [row["measure"] for row in told["measures"]] == ["epsilon_sharpness"]
        for name, reason in left_out.items():
            assert told["left_out"][name].startswith(reason)
        assert flatmin("attack", "it.pt", *NET, "--measure", "average_case", *options).status == asked


def test_help_names_every_symmetry_and_has_examples(flatmin: Any) -> None:
    said = flatmin("attack", "--help")
    assert said.status == 0 and "flatmin attack last.ckpt --network F1 --data mnist" in said.out
    assert all(name in said.out.replace("\n", " ") for name in symmetries())

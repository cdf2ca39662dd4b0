"""A measure for each layer: that of the same network with all other layers frozen."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, average_case_sharpness, by_layer, epsilon_sharpness
from flatmin.core.functions import QuadraticObjective

INPUTS = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(3, (20,), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))


@pytest.mark.parametrize("measure", [epsilon_sharpness, average_case_sharpness])
def test_each_layer_is_measured_as_if_the_others_were_frozen(model, measure):
    table = by_layer(Objective(model, cross_entropy, [(INPUTS, TARGETS)], batch_norm="batch"), measure)
    assert table["layer"].tolist() == ["0", "1", "3"] and table["weights"].tolist() == [25, 10, 18]
    for row, layer in zip(table.itertuples(), table["layer"], strict=True):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(f"{layer}."))
        alone = measure(Objective(model, cross_entropy, [(INPUTS, TARGETS)], batch_norm="batch"))
        found = float(row.sharpness if measure is epsilon_sharpness else row.value)
        assert found == pytest.approx(float(alone), rel=1e-3)
        assert (row.examples, row.base_loss) == (20, pytest.approx(alone.base_loss, rel=1e-6))


def test_any_function_of_an_objective_is_a_measure(model):
    objective = Objective(model, cross_entropy, [(INPUTS, TARGETS)])
    table = by_layer(objective, lambda part: float(part.gradient().norm()))
    total = float((table["value"] ** 2).sum() ** 0.5)
    assert total == pytest.approx(float(objective.gradient().norm()), rel=1e-6)


def test_what_has_no_layers_is_refused():
    with pytest.raises(TypeError, match="`objective` must have layers, got QuadraticObjective"):
        by_layer(QuadraticObjective([1.0]))
    with pytest.raises(TypeError, match="`objective` must be an objective, got Linear"):
        by_layer(nn.Linear(2, 2))

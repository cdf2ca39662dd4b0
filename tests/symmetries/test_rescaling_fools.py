"""R1, after Dinh et al. (2017): a rescaling moves the sharpness by orders of magnitude and the function not at all."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, average_case_sharpness, epsilon_sharpness, transformed
from flatmin.symmetries import over_amounts

AMOUNTS = (1e-2, 1e-1, 1.0, 1e1, 1e2)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 8, generator=generator)
    return inputs, (inputs @ torch.randn(8, 3, generator=generator)).argmax(1)


@pytest.fixture(scope="module")
def model(batch):
    """A ReLU network without BatchNorm near a minimum."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(80):
            optimizer.zero_grad()
            cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()
    return model


def test_sharpness_moves_by_far_and_the_function_does_not_in_float32(model, batch):
    outputs, sharpness, relative = [], [], []
    for amount in AMOUNTS:
        found = transformed(model, [batch], symmetry="layer_rescaling", amount=amount).model
        torch.testing.assert_close(found[0].weight, amount * model[0].weight)
        torch.testing.assert_close(found[2].weight, model[2].weight / amount)
        with torch.no_grad():
            outputs.append(found(batch[0]))
        objective = Objective(found, cross_entropy, [batch])
        sharpness.append(float(epsilon_sharpness(objective, epsilon=1e-3)))
        relative.append(float(average_case_sharpness(objective, sigma=0.05, relative=True)))
    own = outputs[AMOUNTS.index(1.0)]
    assert max(float((one - own).abs().max() / own.abs().max()) for one in outputs) < 1e-5
    assert min(sharpness[0], sharpness[4]) > 10 * sharpness[2]
    assert relative == pytest.approx([relative[2]] * 5, rel=1e-3)


@pytest.mark.parametrize("amount", [1e-2, 1e2])
def test_the_hessian_is_that_of_dinh_and_its_largest_eigenvalue_moves_by_far(amount, model, batch):
    model = copy.deepcopy(model).double()
    found = transformed(model, [batch], symmetry="layer_rescaling", amount=amount).model

    def hessian(network):
        sizes = [p.numel() for p in network.parameters()]

        def loss(vector):
            w, b, v, c = (part.view_as(p) for part, p in zip(vector.split(sizes), network.parameters(), strict=True))
            return cross_entropy(torch.relu(batch[0].double() @ w.T + b) @ v.T + c, batch[1])

        return torch.autograd.functional.hessian(loss, nn.utils.parameters_to_vector(network.parameters()).detach())

    before, after = hessian(model), hessian(found)
    by = (1 / amount, 1 / amount, amount, 1.0)
    scale = torch.cat([torch.full((p.numel(),), d).double() for p, d in zip(model.parameters(), by, strict=True)])
    torch.testing.assert_close(after, scale[:, None] * before * scale, rtol=1e-7, atol=1e-9)
    assert torch.linalg.eigvalsh(after)[-1] > 100 * torch.linalg.eigvalsh(before)[-1]


def test_a_measure_over_amounts_is_that_of_each_network(model, batch):
    measures = {
        "length": lambda objective: objective.theta.norm(),
        "average case": lambda objective: average_case_sharpness(objective, sigma=1e-3),
    }
    frame = over_amounts(model, cross_entropy, [batch], measures, amounts=AMOUNTS)
    first, bias, second, last = (float(p.detach().double().square().sum()) for p in model.parameters())
    lengths = frame[frame["measure"] == "length"]
    expected = [math.sqrt(a**2 * (first + bias) + second / a**2 + last) for a in AMOUNTS]
    assert [*lengths["amount"]] == [*AMOUNTS] and [*lengths["value"]] == pytest.approx(expected)
    assert lengths["standard_error"].isna().all() and set(frame["symmetry"]) == {"layer_rescaling"}
    (own,) = frame[(frame["measure"] == "average case") & (frame["amount"] == 1)].itertuples()
    direct = average_case_sharpness(Objective(model, cross_entropy, [batch], dtype=torch.float64), sigma=1e-3)
    assert (own.value, own.standard_error) == pytest.approx((direct.value, direct.standard_error))
    assert frame["loss"].max() - frame["loss"].min() < 1e-12 and frame["outputs"].max() < 1e-14
    with pytest.raises(ValueError, match="`measures` must hold at least one"):
        over_amounts(model, cross_entropy, [batch], {})

"""Rounding against steps written out in NumPy, torch's own quantiser, and laws."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.rounding import rounding_rise


def model(transposed=False):
    torch.manual_seed(0)
    first = nn.ConvTranspose2d(2, 4, 2, groups=2) if transposed else nn.Conv2d(2, 4, 2)
    return nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(64 if transposed else 16, 3)).double()


def objective(network):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(30, 2, 3, 3, generator=generator, dtype=torch.float64)
    return Objective(network, cross_entropy, [(inputs, torch.arange(30) % 3)])


def by_hand(weight, bits):
    step = np.abs(weight).max() / (2 ** (bits - 1) - 1)
    return step * np.round(weight / step)


@pytest.mark.parametrize("scale", ["tensor", "channel"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bits", [8, 3])
def test_the_rise_is_that_of_weights_rounded_by_hand(bits, scale, transposed):
    network = model(transposed)
    found, kept = rounding_rise(objective(network), bits=bits, scale=scale), objective(network)
    rounded = model(transposed)
    for index in (0, 3):
        weight = rounded[index].weight.data.numpy()
        if scale == "tensor":
            weight[:] = by_hand(weight, bits)
        elif transposed and index == 0:  # outputs 0 and 1 take in channel 0, outputs 2 and 3 channel 1
            for channel, output in np.ndindex(2, 2):
                weight[channel, output] = by_hand(weight[channel, output], bits)
        else:
            for row in weight:
                row[:] = by_hand(row, bits)
    loss, accuracy = objective(rounded).evaluate()
    base, base_accuracy = kept.evaluate()
    assert found.value == pytest.approx(loss - base, abs=1e-12) and found.accuracy_drop == base_accuracy - accuracy
    assert found.rounded == network[0].weight.numel() + network[3].weight.numel()
    moved = torch.nn.utils.parameters_to_vector(rounded.parameters()) - kept.theta
    assert found.distance == pytest.approx(float(moved.detach().norm()))


def test_of_a_quadratic_it_is_torchs_own_rounding():
    theta = torch.randn(500, generator=torch.Generator().manual_seed(2))
    step = float(theta.abs().max()) / 7
    near = torch.fake_quantize_per_tensor_affine(theta, step, 0, -7, 7).double()
    found = rounding_rise(QuadraticObjective([1.0] * 500, theta=theta), bits=4)
    assert found.value == pytest.approx(float(near @ near - theta.double() @ theta.double()) / 2, rel=1e-5)
    assert math.isnan(found.accuracy_drop) and found.rounded == 500


def test_more_bits_move_less_and_layers_may_be_rescaled():
    network = model()
    found = {bits: rounding_rise(objective(network), bits=bits) for bits in (2, 4, 8, 24)}
    assert found[2].distance > found[4].distance > found[8].distance > found[24].distance
    assert abs(found[24].value) < 1e-5 < found[2].value
    with torch.no_grad():
        network[0].weight *= 3
        network[0].bias *= 3
        network[3].weight /= 3
    assert rounding_rise(objective(network), bits=3).value == pytest.approx(
        rounding_rise(objective(model()), bits=3).value
    )


def test_weights_of_zero_stay_and_a_loss_that_is_not_finite_is_said():
    assert rounding_rise(QuadraticObjective([1.0, 1.0])).distance == 0
    edge = FunctionObjective(lambda w: torch.where(w[1] == 1.25, 0.0, torch.inf).double(), torch.tensor([3.0, 1.25]))
    found = rounding_rise(edge, bits=3)
    assert found.value == math.inf and "NOT FINITE" in repr(found)
    with pytest.raises(RuntimeError, match="must be finite, got nan"):
        rounding_rise(FunctionObjective(lambda w: w.sum() * torch.nan, torch.ones(1)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bits": 1}, ValueError, "`bits` must be at least 2"),
        ({"bits": 32}, ValueError, "`bits` must be at most 24, got 32"),
        ({"bits": 4.0}, TypeError, "`bits` must be an int"),
        ({"scale": "row"}, ValueError, "`scale` must be one of 'tensor', 'channel'"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        rounding_rise(QuadraticObjective([1.0]), **changes)

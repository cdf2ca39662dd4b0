"""What was measured leaves no memory behind: a graph may hold gigabytes, and Python counts objects, not bytes."""

import gc
import warnings
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flatmin import (
    Objective,
    average_case_sharpness,
    by_layer,
    critical_point,
    diagonal,
    effort,
    empirical_fisher,
    epsilon_sharpness,
    filter_normalized,
    gauss_newton,
    linear_operator,
    rise_on,
    slice_1d,
    spectral_density,
    top_eigenvalues,
    trace,
    transformed,
    worst_case_sharpness,
)

INPUTS, TARGETS = torch.randn(48, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(48) % 3
EACH = partial(cross_entropy, reduction="none")
USES = {
    "nothing": lambda objective: None,
    "value": lambda objective: objective.value(),
    "gradient": lambda objective: objective.value_and_gradient(objective.theta),
    "hvp": lambda objective: objective.hvp(torch.ones_like(objective.theta)),
    "top_eigenvalues": lambda objective: top_eigenvalues(objective, k=1),
    "gauss_newton": lambda objective: top_eigenvalues(gauss_newton(objective), k=1),
    "empirical_fisher": lambda objective: top_eigenvalues(empirical_fisher(objective, EACH), k=1),
    "trace": lambda objective: trace(objective, relative_error=0.5),
    "diagonal": diagonal,
    "spectral_density": lambda objective: spectral_density(objective, probes=1, steps=5),
    "linear_operator": lambda objective: linear_operator(objective) @ torch.ones_like(objective.theta).numpy(),
    "critical_point": critical_point,
    "epsilon_sharpness": lambda objective: epsilon_sharpness(objective, epsilon=1e-3),
    "worst_case_sharpness": lambda objective: worst_case_sharpness(objective, rho=0.05),
    "average_case_sharpness": lambda objective: average_case_sharpness(objective, sigma=1e-2),
    "rise_on": lambda objective: rise_on(objective, torch.full_like(objective.theta, 1e-3), each=EACH),
    "by_layer": by_layer,
    "effort": lambda objective: effort(objective, climber="corner_steps", evaluations=5),
    "transformed": lambda objective: transformed(network(), [(INPUTS, TARGETS)], symmetry="node_rescaling", amount=2),
    "slice_1d": lambda objective: slice_1d(objective, filter_normalized(objective, seed=0), [-1, 0, 1]),
}


def tensors() -> int:
    return sum(type(each) in (Tensor, nn.Parameter) for each in gc.get_objects())


def network():
    """Made anew, as for each network of an experiment."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()


def measured(use, batch_norm):
    batches = [(INPUTS[:24], TARGETS[:24]), (INPUTS[24:], TARGETS[24:])]
    use(Objective(network(), cross_entropy, batches, batch_norm=batch_norm))


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
@pytest.mark.parametrize("use", USES)
def test_an_objective_is_freed_with_its_graphs_as_soon_as_nobody_holds_it(use, batch_norm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured(USES[use], batch_norm)
        gc.collect()
        gc.disable()
        try:
            before = tensors()
            measured(USES[use], batch_norm)
            held = tensors() - before
            gc.collect()
            lost = tensors() - before
        finally:
            gc.enable()
    assert (held, lost) == (0, 0)


def test_an_objective_that_could_not_be_made_is_freed_too():
    def loss(outputs, targets):
        if outputs.requires_grad:
            raise ArithmeticError("no gradient today")
        return cross_entropy(outputs, targets)

    def attempt():
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Sigmoid(), nn.Linear(8, 3))
        with pytest.raises(ArithmeticError):
            Objective(network, loss, [(INPUTS, TARGETS)])

    attempt()
    gc.collect()
    before = tensors()
    attempt()
    gc.collect()
    assert tensors() == before

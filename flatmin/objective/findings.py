"""What a few runs showed of a network, and what is tried again while it is evaluated: is it still a function?"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flatmin.core.vectors import norm
from flatmin.objective.forward import Forward
from flatmin.objective.rewriting import Handlers
from flatmin.objective.slope import doubted_product

EVERY = 32
"""Evaluations after which a few examples are tried again."""


@dataclass
class Findings:
    """What a few runs showed.

    Attributes:
        cautions: What the owner of a number should know.
        draws: Whether random numbers are drawn.
        normalizes: Whether batches are normalised (BatchNorm).
        rows: Whether the outputs have a row for each example.
        graph_bytes: Memory that the graph of one example takes.
        decomposed: How functions without a second derivative are computed when one is needed.
        differentiable: Whether the loss has a gradient.
        few: The loss on a few examples, to try more of it later.
        theta: Where the model stands.
        value: The value of ``few`` there.
        calls: Evaluations until now.
        differentiable_twice: Whether a product with the Hessian was found to be right.
    """

    cautions: list[str] = field(default_factory=list)
    draws: bool = False
    normalizes: bool = False
    rows: bool = False
    graph_bytes: float = 0.0
    decomposed: Handlers = field(default_factory=dict)
    differentiable: bool = True
    few: Forward | None = None
    theta: Tensor = field(default_factory=lambda: torch.zeros(0))
    value: float = math.nan
    calls: int = 0
    differentiable_twice: bool = False

    def check_differentiable(self) -> None:
        """Check that the loss has a gradient.

        Raises:
            ValueError: If it has none.
        """
        if not self.differentiable:
            raise ValueError(
                "the loss has no gradient: it does not depend on the weights, or was computed without a graph "
                "(torch.no_grad, .detach(), argmax). Values and slices work."
            )

    def try_again(self) -> None:
        """Evaluate the few examples now and then, for a network may change late.

        Raises:
            RuntimeError: If they have another loss than at first.
        """
        self.calls += 1
        if self.calls % EVERY or self.few is None:
            return
        value = float(self.few.score(self.theta).loss)
        if not math.isclose(value, self.value, rel_tol=1e-4, abs_tol=1e-7) and not math.isnan(self.value):
            raise RuntimeError(
                f"`model` or `loss` is no function of the weights: after {self.calls} evaluations the same examples "
                f"have a loss of {value:.6g}, and had {self.value:.6g}. Something outside of the network changes."
            )

    def check_product(self, theta: Tensor, vector: Tensor) -> None:
        """Check, once and on the few examples, that a product with the Hessian is the change of the gradient.

        Raises:
            RuntimeError: If it is not.
        """
        if self.differentiable_twice:
            return
        few = self.few
        assert few is not None
        try:
            doubted = norm(vector) and doubted_product(
                lambda t: few.gradient(t)[1], lambda t: few.hvp(t, vector), theta, vector
            )
        except ValueError:  # a single example has no statistics of its own
            return
        if doubted:
            raise RuntimeError(
                "the second derivative of this network is wrong: a product with the Hessian is not the change of the "
                "gradient. A layer or an autograd.Function has a backward that cannot be differentiated; use "
                "hvp='finite_difference'."
            )
        self.differentiable_twice = True

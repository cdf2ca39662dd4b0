"""Loss, gradient and Hessian products of a network at given weights, batch by batch.

Memory is that of one batch's activations, but for graphs that are kept on purpose; sums across batches are float64.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flatmin.core.derivatives import pulled_back
from flatmin.core.matmul import fast_matmul
from flatmin.objective import memory
from flatmin.objective.accuracy import right
from flatmin.objective.batches import Batch, mapped
from flatmin.objective.linearized import Linearized, linearized, product
from flatmin.objective.losses import Problem, Scored
from flatmin.objective.network import Network
from flatmin.objective.rewriting import Handlers
from flatmin.objective.second_derivatives import plain_attention, refused

Metrics = Mapping[str, Callable[..., Any]]
Run = Callable[[int], Scored]

TWICE = 3
"""A graph of the gradient takes so many times the memory of one of the loss."""


class Score(NamedTuple):
    """Mean loss over all batches (float64), share of right answers (NaN without meaning) and further metrics."""

    loss: Tensor
    accuracy: float
    metrics: dict[str, float]


Graphs = tuple[Tensor, ...] | Linearized
"""What gives products of a batch: the graph of its gradient, or those of its outputs."""


class _Kept(NamedTuple):
    """Graphs of the first batches at one point, what makes them, and the state of the network they belong to."""

    theta: Tensor
    loads: int
    made: Callable[[Network, Scored], Graphs]
    graphs: list[Graphs]


class Forward:
    """Mean loss of a network over batches as a function of its flat weights.

    Args:
        network: The private copy.
        problem: Gives outputs and loss of a batch.
        batches: With their shares.
        handlers: The reading of BatchNorm.
        metrics: Further numbers of the outputs, each a mean over the batch.
        buffers: Contents of buffers by identity that replace those of the network.
        graph_bytes: Memory that the graph of one example takes.
        decomposed: How functions whose second derivative torch lacks are computed when one is needed.
    """

    def __init__(
        self,
        network: Network,
        problem: Problem,
        batches: list[Batch],
        *,
        handlers: Handlers,
        metrics: Metrics,
        buffers: dict[int, Tensor],
        graph_bytes: float,
        decomposed: Handlers,
    ) -> None:
        self.network = network
        self.problem = problem
        self.batches = batches
        self.handlers = handlers
        self.metrics = metrics
        self.buffers = buffers
        self.graph_bytes = graph_bytes
        self.decomposed = decomposed
        self._kept: _Kept | None = None

    def score(self, theta: Tensor) -> Score:
        """Loss, accuracy and metrics in one pass over the data."""
        total = theta.new_zeros((), dtype=torch.float64)
        hits: Tensor | float = 0.0
        asked: Tensor | float = 0.0
        sums = dict.fromkeys(self.metrics, 0.0)
        with self._standing(theta) as run:
            for k, batch in enumerate(self.batches):
                outputs, loss = run(k)
                total = total + loss.detach().double() * batch.share
                counts = right(outputs, self.problem.targets(batch), self.problem.reduction)
                hits, asked = hits + counts.right, asked + counts.asked
                for name, metric in self.metrics.items():
                    sums[name] += _number(metric(outputs, *_copies(self.problem.rest(batch)))) * batch.examples
        examples = sum(batch.examples for batch in self.batches)
        means = {name: value / examples for name, value in sums.items()}
        return Score(total, float(hits) / float(asked) if float(asked) else float("nan"), means)

    def each(self, function: Callable[..., Tensor], theta: Tensor) -> Tensor:
        """One number an example, float64.

        Raises:
            ValueError: If ``function`` does not give one number an example.
        """
        with self._standing(theta) as run:
            found = [_each(function, run(k), batch).detach().double() for k, batch in enumerate(self.batches)]
        return torch.cat(found)

    def each_along(self, function: Callable[..., Tensor], theta: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """One number an example and its derivative along ``vector``, float64.

        The products of a cotangent with the Jacobian are linear in it; their derivative is the Jacobian's own product.

        Raises:
            RuntimeError: If torch lacks a second derivative.
            ValueError: If ``function`` does not give one number an example.
        """
        along = self.network.layout.split(vector)
        found: list[tuple[Tensor, Tensor]] = []
        with self._twice(theta) as run:
            for k, batch in enumerate(self.batches):
                numbers = _each(function, run(k), batch)
                weights = torch.zeros_like(numbers, requires_grad=True)
                first = self.network.slopes((weights * numbers).sum(), create_graph=True)
                (slope,) = pulled_back(first, along, [weights])
                found.append((numbers.detach().double(), slope.double()))
        values, derivatives = zip(*found, strict=True)
        return torch.cat(values), torch.cat(derivatives)

    def each_pulled(self, function: Callable[..., Tensor], theta: Tensor, weights: Tensor) -> Tensor:
        """The gradient of the sum of the examples' numbers, each times its weight.

        Raises:
            ValueError: If ``function`` does not give one number an example.
        """
        total: Tensor | None = None
        first = 0
        with self._standing(theta, graph=True) as run:
            for k, batch in enumerate(self.batches):
                numbers = _each(function, run(k), batch)
                own = weights[first : first + batch.examples].to(numbers)
                total = added(total, joined(self.network.slopes((own * numbers).sum())), 1.0)
                first += batch.examples
        assert total is not None
        return total

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (float64) and its flat gradient; sums over batches are float64."""
        total = theta.new_zeros((), dtype=torch.float64)
        gradient: Tensor | None = None
        with self._standing(theta, graph=True) as run:
            for k, batch in enumerate(self.batches):
                loss = run(k).loss
                part = joined(self.network.slopes(loss))
                total = total + loss.detach().double() * batch.share
                gradient = added(gradient, part, batch.share)
        assert gradient is not None
        return total, gradient

    def hvp(self, theta: Tensor, vector: Tensor) -> Tensor:
        """Flat product of the Hessian with ``vector``, by double backward.

        The graph of the gradient is kept for further products at this point, as far as memory goes.

        Raises:
            RuntimeError: If torch lacks a second derivative.
        """
        return self._product(theta, vector, _gradients, self._along_gradients)

    def gauss_newton(self, theta: Tensor, vector: Tensor) -> Tensor:
        """Flat product of the Gauss-Newton matrix with ``vector``; graphs are kept as those of :meth:`hvp`.

        Raises:
            RuntimeError: If torch lacks a second derivative.
            TypeError: If the outputs of the network are no tensor.
        """
        return self._product(theta, vector, linearized, self._along_outputs)

    def _product(
        self,
        theta: Tensor,
        vector: Tensor,
        made: Callable[[Network, Scored], Graphs],
        multiplied: Callable[[Any, Sequence[Tensor], bool], tuple[Tensor, ...]],
    ) -> Tensor:
        along = self.network.layout.split(vector)
        total: Tensor | None = None
        with self._twice(theta) as run:
            kept = self._graphs(theta, run, made)
            for k, batch in enumerate(self.batches):
                held = k < len(kept)
                part = joined(multiplied(kept[k] if held else made(self.network, run(k)), along, held))
                total = added(total, part, batch.share)
        assert total is not None
        return total

    def _along_gradients(self, graphs: Any, along: Sequence[Tensor], keep: bool) -> tuple[Tensor, ...]:
        return pulled_back(graphs, along, self.network.parameters, keep=keep)

    def _along_outputs(self, graphs: Any, along: Sequence[Tensor], keep: bool) -> tuple[Tensor, ...]:
        return product(graphs, self.network, along)

    def _graphs(self, theta: Tensor, run: Run, made: Callable[[Network, Scored], Graphs]) -> list[Graphs]:
        """Graphs at ``theta`` of the first batches, as many as fit into memory."""
        kept = self._kept
        if (
            kept is not None
            and kept.loads == self.network.loads
            and kept.made == made
            and torch.equal(kept.theta, theta)
        ):
            return kept.graphs
        self._kept = kept = None
        graphs = [] if self.network.unsteady else [made(self.network, run(k)) for k in range(self._fitting())]
        self._kept = _Kept(theta.clone(), self.network.loads, made, graphs)
        return graphs

    def _fitting(self) -> int:
        """How many batches' graphs of the gradient fit into memory."""
        examples = list(accumulate(batch.examples for batch in self.batches))
        fit = [memory.fits(TWICE * self.graph_bytes * count, self.network.device) for count in examples]
        return fit.index(False) if False in fit else len(fit)

    @contextmanager
    def _twice(self, theta: Tensor) -> Iterator[Run]:
        """As :meth:`_standing`, where what is differentiated is differentiated again.

        Raises:
            RuntimeError: If torch lacks a second derivative.
        """
        kept = self._kept
        stands = kept is not None and kept.loads == self.network.loads and torch.equal(kept.theta, theta)
        try:
            with (
                plain_attention(),
                self._standing(theta, graph=True, handlers=self.decomposed, stands=stands) as run,
                fast_matmul(theta),
            ):
                yield run
        except RuntimeError as error:
            told = refused(error, lambda: self.problem(self.network.module, self.batches[0]), self.network.module)
            if told is None:
                raise
            raise told from None

    @contextmanager
    def _standing(
        self, theta: Tensor, *, graph: bool = False, handlers: Handlers | None = None, stands: bool = False
    ) -> Iterator[Run]:
        """The network at ``theta``; what is given runs the batch of an index there."""
        for batch in self.batches:
            batch.check_intact()
        with self.network.running(self.handlers | (handlers or {}), graph=graph):
            loaded = stands

            def run(k: int) -> Scored:
                nonlocal loaded
                if not loaded or self.network.unsteady:
                    self.network.load(theta, self.buffers)
                    loaded = True
                self.network.draws.begin(k)
                return self.problem(self.network.module, self.batches[k])

            yield run


def _gradients(network: Network, scored: Scored) -> Graphs:
    return network.slopes(scored.loss, create_graph=True)


def _each(function: Callable[..., Tensor], scored: Scored, batch: Batch) -> Tensor:
    numbers = function(scored.outputs, *_copies(batch.parts[1:]))
    if numbers.shape != (batch.examples,):
        expected, got = (batch.examples,), tuple(numbers.shape)
        raise ValueError(f"`function` must give one number an example, shape {expected}, got {got}.")
    return numbers


def joined(parts: Sequence[Tensor]) -> Tensor:
    """One flat vector."""
    return torch.cat([part.reshape(-1) for part in parts])


def _copies(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(mapped(torch.clone, part) for part in parts)


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def added(total: Tensor | None, part: Tensor, share: float) -> Tensor:
    """A weighted sum, float64 as soon as there is more than one part; ``total`` may be written into."""
    if total is None:
        return part if share == 1 else part.double().mul_(share)
    return total.double().add_(part, alpha=share)

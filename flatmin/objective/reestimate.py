"""BatchNorm statistics of the whole data set, found anew at every point, and the gradient through them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.core.derivatives import pulled_back, slopes
from flatmin.objective import memory
from flatmin.objective.batch_norm import UNEVEN, ByStatistics, Counting, Moments, Recorded, by_batch, pooled
from flatmin.objective.batches import Batch, mapped, merged, tensors
from flatmin.objective.differences import product_by_differences
from flatmin.objective.forward import TWICE, Forward, Run, Score, added, joined
from flatmin.objective.losses import Problem, Scored, Supervised, forward

ALIVE = 0.25
"""Share of a graph's memory that a forward pass without a graph has alive at a time."""


class Whole(Supervised):
    """The loss of all batches in one pass of the network over their union.

    Args:
        problem: The loss of a batch.
        batches: With their shares.
    """

    def __init__(self, problem: Supervised, batches: list[Batch]) -> None:
        self.given, self.reduction = problem.given, problem.reduction
        self.batches = batches

    def __call__(self, module: nn.Module, batch: Batch) -> Scored:
        """Outputs for all examples and the mean loss of all batches.

        Raises:
            RuntimeError: If the outputs have no row for each example.
        """
        inputs, *_ = batch.fresh()
        outputs = forward(module, inputs)
        total, first = torch.zeros((), dtype=torch.float64), 0
        for part in self.batches:
            rows = slice(first, first + part.examples)
            _, *rest = part.fresh()
            loss = self.of(mapped(itemgetter(rows), outputs), tuple(rest), part)
            total = total.to(loss.device) + loss.double() * part.share
            first += part.examples
        return Scored(outputs, total)


class Layered(Forward):
    r"""The loss with the statistics of the whole data set in the memory of one batch.

    The statistics :math:`s_1, \ldots, s_L` are found layer by layer, each with all earlier ones in place,
    :math:`s_k = S_k(\theta, s_1, \ldots, s_{k-1})`, with one pass over the data each. The gradient goes through them:
    the cotangent of :math:`s_k` is carried back in the opposite order, again with a pass each. Products with the
    Hessian are central differences of that gradient.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reading = ByStatistics()
        super().__init__(*args, **kwargs | {"handlers": self.reading.handlers})

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its flat gradient, through the statistics."""
        network, total = self.network, theta.new_zeros((), dtype=torch.float64)
        gradient: Tensor | None = None
        with super()._standing(theta, graph=True) as run:
            found = self._statistics(run)
            leaves = [s.to(theta.dtype).requires_grad_() for m in found for s in (m.mean, m.variance)]
            given = list(zip(leaves[::2], leaves[1::2], strict=True))
            sources = [*network.parameters, *leaves]
            onward = [torch.zeros_like(leaf, dtype=torch.float64) for leaf in leaves]
            for k, batch in enumerate(self.batches):
                self.reading.begin(given)
                loss = run(k).loss
                parts = slopes(loss, sources)
                total = total + loss.detach().double() * batch.share
                gradient = added(gradient, joined(parts[: len(network.parameters)]), batch.share)
                onward = _carried(onward, parts[len(network.parameters) :], batch.share)
            for layer in reversed(range(len(found))):
                d_mean, d_variance = onward[2 * layer : 2 * layer + 2]
                below = sources[: len(network.parameters) + 2 * layer]
                for k in range(len(self.batches)):
                    own = self._moments(run, k, given[:layer])
                    share = float(own.size / found[layer].size)
                    through_mean = d_mean + 2 * d_variance * (own.mean.detach().double() - found[layer].mean)
                    outer = through_mean.to(own.mean.dtype), d_variance.to(own.mean.dtype)
                    parts = pulled_back([own.mean, own.variance], outer, below)
                    gradient = added(gradient, joined(parts[: len(network.parameters)]), share)
                    onward = _carried(onward, parts[len(network.parameters) :], share)
        assert gradient is not None
        return total, gradient

    def statistics(self, theta: Tensor) -> list[Moments]:
        """Moments of all the data at each layer, in the order in which a forward pass meets them."""
        with super()._standing(theta) as run:
            return self._statistics(run)

    def hvp(self, theta: Tensor, vector: Tensor) -> Tensor:
        """Flat product of the Hessian with ``vector``, by differences of the gradient."""
        return product_by_differences(lambda t: self.gradient(t)[1].to(theta), theta, vector).product

    def each_along(self, function: Callable[..., Tensor], theta: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """One number an example and its derivative along ``vector``, by differences."""
        slope = product_by_differences(lambda t: self.each(function, t), theta, vector).product
        return self.each(function, theta), slope.double()

    def each_pulled(self, function: Callable[..., Tensor], theta: Tensor, weights: Tensor) -> Tensor:
        """There is none: the examples meet in the statistics.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "gradients of single examples with batch_norm='reestimate' need all examples in memory at once; take fewer "
            "examples, or batch_norm='batch'."
        )

    def gauss_newton(self, theta: Tensor, vector: Tensor) -> Tensor:
        """There is none: the outputs are not all in one graph.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "the Gauss-Newton matrix with batch_norm='reestimate' needs all examples in memory at once; take fewer "
            "examples, or batch_norm='batch'."
        )

    @contextmanager
    def _standing(self, theta: Tensor, **options: Any) -> Iterator[Run]:
        with super()._standing(theta, **options) as run:
            given = [(s.mean.to(theta.dtype), s.variance.to(theta.dtype)) for s in self._statistics(run)]

            def normalized(k: int) -> Scored:
                self.reading.begin(given)
                return run(k)

            yield normalized

    @torch.no_grad()
    def _statistics(self, run: Run) -> list[Moments]:
        """Moments of all the data at each layer, in the order in which a forward pass meets them.

        Raises:
            RuntimeError: If a layer is met by some batches only.
        """
        found: list[Moments] = []
        while True:
            given = [(s.mean.to(self.network.dtype), s.variance.to(self.network.dtype)) for s in found]
            parts = [self._next(run, k, given) for k in range(len(self.batches))]
            met = [part for part in parts if part is not None]
            if not met:
                return found
            if len(met) < len(parts):
                raise RuntimeError(UNEVEN)
            found.append(pooled(met))

    def _moments(self, run: Run, k: int, given: list[Any]) -> Moments:
        found = self._next(run, k, given)
        if found is None:
            raise RuntimeError(UNEVEN)
        return found

    def _next(self, run: Run, k: int, given: list[Any]) -> Moments | None:
        """Moments of one batch at the layer after those whose statistics are given, if there is one."""
        self.reading.begin(given, record=True)
        try:
            run(k)
        except Recorded as recorded:
            return recorded.moments
        return None


class Reestimated:
    """The loss with the statistics of the whole data set: at once where memory allows it, else layer by layer.

    Args:
        layered: The way that needs little memory.
        at_once: The way that needs little time, if the batches fit together.
    """

    def __init__(self, layered: Layered, at_once: Forward | None) -> None:
        self.layered, self._at_once = layered, at_once
        self.network, self.problem, self.batches = layered.network, layered.problem, layered.batches
        self._even = False

    def score(self, theta: Tensor) -> Score:
        """As :meth:`Forward.score`."""
        return self._way(ALIVE, theta).score(theta)

    def each(self, function: Callable[..., Tensor], theta: Tensor) -> Tensor:
        """As :meth:`Forward.each`."""
        return self._way(ALIVE, theta).each(function, theta)

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Forward.gradient`."""
        return self._way(1.0, theta).gradient(theta)

    def hvp(self, theta: Tensor, vector: Tensor) -> Tensor:
        """As :meth:`Forward.hvp`; by differences where memory allows no graph of all the data."""
        return self._way(TWICE, theta).hvp(theta, vector)

    def each_along(self, function: Callable[..., Tensor], theta: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Forward.each_along`; by differences where memory allows no graph of all the data."""
        return self._way(TWICE, theta).each_along(function, theta, vector)

    def each_pulled(self, function: Callable[..., Tensor], theta: Tensor, weights: Tensor) -> Tensor:
        """As :meth:`Forward.each_pulled`."""
        return self._way(1.0, theta).each_pulled(function, theta, weights)

    def gauss_newton(self, theta: Tensor, vector: Tensor) -> Tensor:
        """As :meth:`Forward.gauss_newton`."""
        return self._way(TWICE, theta).gauss_newton(theta, vector)

    def statistics(self, theta: Tensor) -> list[Moments]:
        """Moments of all the data at each layer: of a pass over all at once where memory allows it."""
        if not isinstance(way := self._way(ALIVE, theta), Layered):
            counting = Counting()
            with self.network.running(counting.handlers, graph=False):
                self.network.load(theta, way.buffers)
                self.network.draws.begin(0)
                way.problem(self.network.module, way.batches[0])
            return counting.met
        return self.layered.statistics(theta)

    def slow(self) -> bool:
        """Whether gradients take a pass over the data for each layer."""
        return not self._fits(1.0)

    @property
    def why_slow(self) -> str:
        """Why they do."""
        if self._at_once is not None:
            return "the examples do not fit into memory at once"
        return "it is not known how to put the batches together, or to take their outputs apart"

    def _fits(self, graphs: float) -> bool:
        if self._at_once is None:
            return False
        examples = self._at_once.batches[0].examples
        return memory.fits(graphs * self._at_once.graph_bytes * examples, self.network.device)

    def _way(self, graphs: float, theta: Tensor) -> Forward:
        if self._at_once is None or not self._fits(graphs):
            return self.layered
        if not self._even:
            self._check_even(theta)
        return self._at_once

    def _check_even(self, theta: Tensor) -> None:
        """Check that every batch goes through the same layers.

        Raises:
            RuntimeError: If one does not.
        """
        counts = set()
        for k, batch in enumerate(self.batches):
            counting = Counting()
            with self.network.running(counting.handlers, graph=False):
                self.network.load(theta, self.layered.buffers)
                self.network.draws.begin(k)
                self.problem(self.network.module, batch)
            counts.add(counting.calls)
        if len(counts) > 1:
            raise RuntimeError(UNEVEN)
        self._even = True


def reestimated(network: Any, problem: Problem, batches: list[Batch], *, rows: bool, **options: Any) -> Reestimated:
    """The loss of ``batches`` with the statistics of all of them.

    Args:
        network: The private copy.
        problem: The loss of a batch.
        batches: With their shares.
        rows: Whether the outputs have a row for each example.
        options: As those of :class:`~flatmin.objective.forward.Forward`.

    Returns:
        What evaluates it.
    """
    layered = Layered(network, problem, batches, handlers={}, **options)
    whole = merged(batches) if rows and isinstance(problem, Supervised) else None
    if whole is None or any(len(t) != whole.examples for t in tensors(whole.parts[0])):
        return Reestimated(layered, None)
    assert isinstance(problem, Supervised)
    return Reestimated(layered, Forward(network, Whole(problem, batches), [whole], handlers=by_batch(), **options))


def _carried(onward: list[Tensor], parts: Any, share: float) -> list[Tensor]:
    grown = [total + part.double() * share for total, part in zip(onward, parts, strict=False)]
    return grown + onward[len(grown) :]

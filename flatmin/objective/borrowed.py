"""A loss with the BatchNorm statistics of other data: of the training data, for a test loss at any point."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from flatmin.objective.batch_norm import ByStatistics
from flatmin.objective.forward import Forward, Run
from flatmin.objective.losses import Scored
from flatmin.objective.reestimate import Reestimated


class Borrowed(Forward):
    """Values of a loss whose BatchNorm layers take the statistics that other data have at the point at hand.

    Args:
        source: The loss of the other data.
        own: The loss.
    """

    def __init__(self, source: Reestimated, own: Reestimated) -> None:
        self.source, self.reading = source, ByStatistics()
        like = own.layered
        super().__init__(
            like.network,
            like.problem,
            like.batches,
            handlers=self.reading.handlers,
            metrics=like.metrics,
            buffers=like.buffers,
            graph_bytes=like.graph_bytes,
            decomposed=like.decomposed,
        )

    @contextmanager
    def _standing(self, theta: Tensor, *, graph: bool = False, **options: Any) -> Iterator[Run]:
        if graph:
            raise RuntimeError("a loss with the BatchNorm statistics of other data has values and no gradient.")
        found = self.source.statistics(theta)
        given = [(moments.mean.to(theta), moments.variance.to(theta)) for moments in found]
        with super()._standing(theta, **options) as run:

            def normalized(k: int) -> Scored:
                self.reading.begin(given)
                return run(k)

            yield normalized

    def each_along(self, function: Callable[..., Tensor], theta: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """There is none.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("a loss with the BatchNorm statistics of other data has values and no gradient.")

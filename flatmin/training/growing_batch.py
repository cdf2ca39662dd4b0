r"""A batch that grows where the rate would have been cut. Smith, Kindermans, Ying and Le (2018).

The noise of stochastic gradient descent goes with rate over batch, :math:`\eta N / B` (:math:`B \ll N`): a batch that
grows by a factor lowers it as a rate does that falls by it, and takes fewer updates. It can do so up to the data; what
is left after that is done by the rate.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field

from flatmin.core.checked import Checked
from flatmin.core.checks import whole, within
from flatmin.core.cuts import cuts
from flatmin.core.fields import BatchCount, Several
from flatmin.training.rates import Time, check_rising, passed, times


@dataclass(frozen=True)
class GrowingBatch(Checked):
    """A batch that is multiplied by a factor at each of some epochs.

    The defaults are those of Smith et al. for a wide ResNet on CIFAR-10 in 200 epochs, from 128 (from memory); there
    they take the place of a rate divided by 5. A batch changes as an epoch begins: a milestone within one counts from
    the next.

    Attributes:
        epochs: When, in rising order.
        factor: What the batch is multiplied by at each.
        largest: The batch is not made larger; ``None``: than the data. Smith et al. stop at a tenth of them (from
            memory).
    """

    epochs: Several[Time] = (60.0, 120.0, 160.0)
    factor: Annotated[float, Field(gt=1)] = 5.0
    largest: BatchCount | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rising(self.epochs)

    def stretched(self, by: Fraction | float) -> Self:
        """The same with each milestone ``by`` times as late."""
        return replace(self, epochs=tuple(times(epoch, by) for epoch in self.epochs))

    def of(self, batch_size: int, examples: int) -> "Growth":
        """How it goes for a batch and data.

        Args:
            batch_size: Examples a step at the start.
            examples: Of an epoch.

        Raises:
            TypeError: If a number is not whole.
            ValueError: If one is below one, or the batch is larger than the data or ``largest``.
        """
        return Growth(self, batch_size, examples)


@dataclass(frozen=True)
class Growth:
    """How a batch grows on data of some size, and what the rate does when it cannot.

    It is a part of :func:`flatmin.training.rate_schedule` too: :meth:`at` is 1 until the batch has reached its bound,
    and then takes the rate down so that rate over batch goes on as if the batch had none.

    Attributes:
        growing: When, and by what factor.
        batch_size: Examples a step at the start.
        examples: Of an epoch.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If one is below one, or the batch is larger than the data or ``growing.largest``.

    Example:
        >>> growth = GrowingBatch(epochs=(1, 2), factor=4).of(100, examples=1000)
        >>> [growth.batch_size_at(epoch) for epoch in (0, 1, 2)], [growth.at(epoch) for epoch in (0, 1, 2)]
        ([100, 400, 1000], [1.0, 1.0, 0.625])
        >>> growth.steps_per_epoch(4)
        [10, 3, 1, 1]
    """

    growing: GrowingBatch
    batch_size: int
    examples: int

    def __post_init__(self) -> None:
        whole("batch_size", self.batch_size, minimum=1)
        if self.batch_size > whole("examples", self.examples, minimum=1):
            raise ValueError(f"`batch_size` must be at most the {self.examples} examples, got {self.batch_size}.")
        if self.batch_size > self.bound:
            raise ValueError(f"`batch_size` must be at most `largest`, {self.bound}, got {self.batch_size}.")

    @property
    def bound(self) -> int:
        """The largest batch."""
        largest = self.growing.largest
        return self.examples if largest is None else min(largest, self.examples)

    def batch_size_at(self, epoch: float) -> int:
        """Examples a step when ``epoch`` epochs are done; a half is rounded up.

        Raises:
            TypeError: If ``epoch`` is no number.
            ValueError: If it is negative.
        """
        return min(self.bound, int(self._wanted(epoch) + Fraction(1, 2)))

    def at(self, epoch: float) -> float:
        """What the rate is multiplied by then, see above.

        Raises:
            TypeError: If ``epoch`` is no number.
            ValueError: If it is negative.
        """
        return float(min(Fraction(1), self.bound / self._wanted(epoch)))

    def steps_per_epoch(self, epochs: int) -> list[int]:
        """Batches in each of the first epochs, cut as those of ``flatmin.data`` are.

        A ``DataLoader`` keeps a last batch of one example, and so has one more where one is left.

        Raises:
            TypeError: If ``epochs`` is not whole.
            ValueError: If it is below one.
        """
        each = range(whole("epochs", epochs, minimum=1))
        return [len(cuts(self.examples, self.batch_size_at(epoch))) for epoch in each]

    def _wanted(self, epoch: float) -> Fraction:
        begun = math.floor(within("epoch", epoch, ge=0))
        return self.batch_size * Fraction(self.growing.factor) ** passed(self.growing.epochs, begun)

"""The study of remedies as written in a YAML file: a comparison, every way of which has its learning rate tuned."""

from typing import ClassVar, Literal

from pydantic import model_validator

from flatmin.core.fields import BatchSize, Positive, Section, Seed, Several
from flatmin.studies.comparison.settings import Comparison


class Tuning(Section):
    """How the learning rate of every way of training is chosen: the same small budget for each.

    Attributes:
        factors: Each is tried, times the learning rate that the file gives the way, scaling included.
        seed: Of the tuning runs; no other run has it.
        validation: The last so many training examples, or share of them: the tuning runs are trained without them, and
            their accuracy decides.
    """

    factors: Several[Positive] = (0.25, 0.5, 1.0, 2.0, 4.0)
    seed: Seed = 1000
    validation: BatchSize = "10%"


class Remedies(Comparison):
    """Small batches, large batches, and large batches with each remedy.

    The large batch is trained with the small batch's learning rate, as Keskar et al. (2017) do: nothing but the batch
    differs. What a scaling rule makes of that rate is not tuned either, for that is what rules are for; nor is what has
    as many updates as the small batch, or begins with it. Every other way has a learning rate of its own; a variation
    with nothing but a batch size shows what tuning alone does.

    Attributes:
        kind: ``remedies``.
        tuning: How learning rates are chosen; ``null`` takes those of the file.

    Everything else is as in a ``comparison``, but that the ``epochs`` of a measure are taken of every way of training
    that does not end as a mean of weights, after the same share of its length: sharpness is then compared at equal
    training loss too.
    """

    follows_variations: ClassVar[bool] = True

    kind: Literal["remedies"] = "remedies"  # type: ignore[assignment]
    tuning: Tuning | None = Tuning()

    @model_validator(mode="after")
    def _tuned_apart(self) -> "Remedies":
        if self.tuning is not None and self.tuning.seed in self.seeds:
            raise ValueError(f"tuning.seed must be none of the seeds {list(self.seeds)}, got {self.tuning.seed}")
        return self

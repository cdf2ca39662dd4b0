"""The study of connectivity as written in a YAML file: which minima are trained, and how pairs of them are joined."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flatmin.core.fields import Count, Epochs, Examples, Positive, Section, Seed, Several
from flatmin.core.kind import kind_named
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import AnyData, AnyNetwork
from flatmin.measures import measures
from flatmin.training.settings import Training

PairName = Literal["small_large", "small_small", "large_large"]
CurveName = Literal["bezier", "polychain"]
Method = Literal["weights", "activations"]


class Curves(Section):
    """The curves of Garipov et al. (2018).

    Attributes:
        forms: ``bezier``, ``polychain`` or both; a training each.
        bends: Control points between the ends.
        epochs: Of a curve's training.
        batch_size: Examples of its steps.
        learning_rate: At first; it falls as theirs.
        momentum: Of its steps.
    """

    forms: Several[CurveName] = ("bezier", "polychain")
    bends: Count = 1
    epochs: Epochs = 30
    batch_size: Count = 128
    learning_rate: Positive = 0.015
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


class Connectivity(Experiment):
    """Small- and large-batch minima, and what lies between them: on the segment, with neurons matched, on a curve.

    Attributes:
        kind: ``connectivity``.
        data: As in a comparison.
        network: As in a comparison.
        seeds: A small-batch and a large-batch minimum of each, from one start.
        small_batch: Batch size of the one.
        large_batch: Batch size of the other, a number or a share of the examples.
        training: How all are trained; as in a comparison.
        pairs: ``small_large`` joins both minima of a seed; the others those of one regime, each seed's with the next's.
        matching: ``weights``, ``activations`` or both: how neurons are brought into one order.
        curves: Curves of low loss; ``null`` trains none.
        plane: Coordinates of either axis of the plane through two minima and the bend of a curve, for the first pair of
            each kind and the first form; ``null`` takes none, as without curves or with several bends.
        points: Places on each path, its ends among them.
        examples: Evaluate on the first so many of each split; ``null`` uses all.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    kind: Literal["connectivity"] = "connectivity"
    data: AnyData
    network: AnyNetwork
    seeds: Several[Seed] = (0, 1, 2)
    small_batch: Count = 256
    large_batch: int | str = "10%"
    training: Training = Training()
    pairs: Several[PairName] = ("small_large", "small_small", "large_large")
    matching: Several[Method] = ("weights",)
    curves: Curves | None = Curves()
    plane: Annotated[int, Field(ge=3, le=201)] | None = 25
    points: Annotated[int, Field(ge=3, le=1001)] = 61
    examples: Examples | None = None
    batch_size: Count = 5000

    @model_validator(mode="after")
    def _fits_together(self) -> "Connectivity":
        alike = [name for name in self.pairs if name != "small_large"]
        if alike and len(self.seeds) < 2:
            raise ValueError(f"seeds must be two or more for the pairs {alike[0]}, got {list(self.seeds)}")
        _ = self.comparison
        return self

    @property
    def comparison(self) -> Any:
        """The comparison that trains these minima and does nothing else."""
        regimes = {"small_batch": {"batch_size": self.small_batch}, "large_batch": {"batch_size": self.large_batch}}
        shared = {name: getattr(self, name) for name in ("name", "data", "network", "seeds", "training")}
        shared |= {"budget": self.budget, "resources": self.resources}
        whole = shared | {"regimes": regimes, "slices": None} | dict.fromkeys(measures())
        settings: Any = kind_named("comparison").settings
        return settings.model_validate(whole).beside(self.folder)

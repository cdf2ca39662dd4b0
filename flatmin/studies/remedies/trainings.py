"""Trainings whose learning rate is chosen by others: on a validation set, by another seed, before they begin."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flatmin.core.cuts import cuts
from flatmin.data.batches import Pair
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome, Workplace
from flatmin.experiments.training_step import TrainingStep
from flatmin.results import Record
from flatmin.training import Method

WAYS = "ways"
TUNING = "tuning"
MEMBERS = "members"
WHOLE = -1
"""What stands for the mean among its members."""


@dataclass(frozen=True, kw_only=True)
class Candidate(TrainingStep):
    """One learning rate tried: trained without the validation examples, judged by them.

    Args:
        factor: What the learning rate was multiplied with.
        validation: The last so many training examples.
    """

    factor: float
    validation: int

    kind = TUNING
    noun = "learning rates to try"

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-lars-rate0.2-seed1000``."""
        rate = f"{self.settings.learning_rate:g}".replace("+", "")
        return f"{self.network['name']}-{self.data['name']}-{self.regime}-rate{rate}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes what is found."""
        return super().setup | {"validation": self.validation}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its row."""
        return super().facts | {"learning_rate": self.settings.learning_rate, "factor": self.factor}

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train, and look at the validation examples at the end."""
        inputs, targets = workplace.train
        cut = len(targets) - self.validation
        data = Pair(inputs[:cut], targets[:cut]), Pair(inputs[cut:], targets[cut:])
        trained = self.trained(workplace, data, folder, advance)
        last = {name.replace("test", "validation"): value for name, value in trained.final.items()}
        row = {"status": trained.status, "epochs": trained.epochs, **last}
        return Outcome(result=row, tables={TUNING: pd.DataFrame([row])})

    def found(self, record: Record) -> str:
        """How well it did."""
        of = record.result
        rate, accuracy = f"learning rate {self.settings.learning_rate:g}", of["validation_accuracy"]
        if not math.isfinite(of["train_loss"]):
            return f"{rate} diverged"
        said = f", {accuracy:.2%} right" if math.isfinite(accuracy) else ""
        return f"{rate}: validation loss {of['validation_loss']:.4g}{said}"


@dataclass(frozen=True, kw_only=True)
class TunedTraining(TrainingStep):
    """A training with the learning rate that did best among its candidates.

    Args:
        candidates: What was tried; none leaves the learning rate as it is.
        own: Whether they were of this way of training, or another's choice is taken.
    """

    candidates: tuple[Candidate, ...] = ()
    own: bool = True

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """Where it starts, and what was tried."""
        return (*super().needs, *self.candidates)

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the weights: the candidates decide the learning rate.

        None at all are named too, for a comparison's training, of the same weights, does not say what it took.
        """
        return super().setup | {"tuned": [candidate.setup for candidate in self.candidates]}

    @property
    def cost(self) -> float:
        """That of the training."""
        return super().cost * getattr(self.settings.method, "gradients", 1)

    def chosen(self, workplace: Workplace) -> Candidate | None:
        """The candidate whose factor is taken."""
        tried = [(candidate, workplace.record(candidate).result) for candidate in self.candidates]
        return best(tried) if tried else None

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train with the factor that did best."""
        chosen = self.chosen(workplace)
        factor = chosen.factor if chosen else 1.0
        rate = self.settings.learning_rate * factor
        begun = math.nan if any(folder.glob("training.*")) else time.perf_counter()
        step = TrainingStep(
            self.data,
            self.network,
            replace(self.settings, learning_rate=rate),
            self.regime,
            self.seed,
            self.origin,
            self.loss,
        )
        outcome = step.run(workplace, folder, advance)
        factors = [candidate.factor for candidate in self.candidates]
        row = {
            "learning_rate": rate,
            "factor": factor,
            "at_edge": bool(self.own and len(factors) > 1 and factor in (min(factors), max(factors))),
            **work(self, int(outcome.result["epochs"])),
            "seconds": time.perf_counter() - begun,
        }
        tables = {**outcome.tables, WAYS: pd.DataFrame([row]), MEMBERS: members(outcome.result)}
        return replace(outcome, result={**outcome.result, **row}, tables=tables)


def best(tried: Sequence[tuple[Candidate, Mapping[str, Any]]]) -> Candidate:
    """The candidate with most validation examples right, of equals that with the lowest loss.

    One that diverged is the worst there is; where all did, the smallest learning rate is taken.
    """

    def rank(one: tuple[Candidate, Mapping[str, Any]]) -> tuple[float, float, float]:
        candidate, result = one
        accuracy, loss = result["validation_accuracy"], result["validation_loss"]
        if not (math.isfinite(loss) and math.isfinite(result["train_loss"])):
            return (-math.inf, -math.inf, -candidate.factor)
        return (accuracy if math.isfinite(accuracy) else 0.0, -loss, -candidate.factor)

    return max(tried, key=rank)[0]


def work(step: TrainingStep, epochs: int) -> dict[str, float]:
    """Updates of the weights one after the other, and gradients of single examples, over so many epochs.

    Of SWAP's workers, which train side by side, the updates of one count and the gradients of all. What was trained
    before by another way, from whose iterates this one goes out, counts too.
    """
    settings, examples = step.settings, int(step.data["examples"])
    before = work(*step.origin) if step.origin else {"updates": 0.0, "gradients": 0.0}
    updates = sum(settings.steps_per_epoch(examples)[:epochs])
    passes = float(epochs)
    if settings.swap is not None:
        updates += settings.swap.epochs * len(cuts(examples, settings.swap.batch_size))
        passes += settings.swap.epochs * settings.swap.workers
    method = settings.method or Method()
    return {
        "updates": before["updates"] + updates * method.updates,
        "gradients": before["gradients"] + passes * examples * method.gradients,
    }


def members(result: Mapping[str, Any]) -> pd.DataFrame:
    """Test accuracy of what a mean of weights is of, and of the mean."""
    named = ("test_accuracy", "running_test_accuracy")
    several = result.get("members") or []
    each = [{"member": place} | {name: row[name] for name in named} for place, row in enumerate(several)]
    mean = [{"member": WHOLE} | {name: result[name] for name in named}] if several else []
    return pd.DataFrame([*each, *mean], columns=["member", *named])

"""The recursion of momentum beside its closed form, Lee's equation 3.13, and beside torch's SGD, on a real training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.momentum.settings import Identity

TABLE = "momentum_identity"


@dataclass(frozen=True)
class IdentityStep:
    r"""One training by the recursion, beside which torch's SGD does its own.

    The recursion is :math:`m_t = \lambda m_{t-1} - \eta_t g_{t-1}`, its closed form
    :math:`m_t = -\sum_{i<t} \lambda^{t-1-i} \eta_{i+1} g_i`. Torch keeps :math:`b_t = \lambda b_{t-1} + g_{t-1}` and
    moves by :math:`-\eta_t b_t`: the same as long as the rate is.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Width, inputs and classes.
        asked: How.
        schedule: ``constant`` or ``drop``.
        seed: Of the start, and of the order of examples.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    asked: Identity
    schedule: str
    seed: int

    kind = TABLE
    noun = "trainings beside torch's SGD"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``drop-seed0``."""
        return f"{self.schedule}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = {name: getattr(self, name) for name in ("data", "network", "schedule", "seed")}
        return named | {"identity": self.asked.model_dump()}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"schedule": self.schedule, "seed": self.seed}

    @property
    def cost(self) -> float:
        """Two trainings, three passes a step."""
        return float(6 * self.asked.steps * self.asked.batch_size)

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train both, step by step."""
        asked, train = self.asked, double(workplace.train)
        own, other = workplace.start(self.seed).double(), workplace.start(self.seed).double()
        optimizer = torch.optim.SGD(other.parameters(), lr=asked.learning_rate, momentum=asked.momentum)
        movement, before = torch.zeros_like(vector(own)), vector(other)
        pushed, rows = list[Tensor](), list[dict[str, float]]()
        for step, (batch, rate) in enumerate(zip(self._batches(train), self._rates(), strict=False), 1):
            gradient = gradient_of(own, batch)
            pushed.append(rate * gradient)
            movement = asked.momentum * movement - rate * gradient
            nn.utils.vector_to_parameters(vector(own) + movement, own.parameters())
            closed = -sum(asked.momentum ** (step - 1 - i) * push for i, push in enumerate(pushed))
            nn.utils.vector_to_parameters(gradient_of(other, batch), [p.grad for p in other.parameters()])  # type: ignore[misc]
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            after = vector(other)
            rows.append(
                {
                    "step": step,
                    "learning_rate": rate,
                    "movement": float(movement.norm()),
                    "torch_movement": float((after - before).norm()),
                    "closed_form": float((closed - movement).abs().max()),
                    "torch": float((after - vector(own)).abs().max()),
                }
            )
            before = after
            advance(1 / asked.steps)
        worst = {name: max(row[name] for row in rows) for name in ("closed_form", "torch")}
        return Outcome(result=worst, tables={TABLE: pd.DataFrame(rows)})

    def _rates(self) -> Iterator[float]:
        rate, half = self.asked.learning_rate, self.asked.steps // 2
        after = rate * self.asked.drop if self.schedule == "drop" else rate
        return chain(repeat(rate, half), repeat(after, self.asked.steps - half))

    def _batches(self, train: Pair) -> Iterator[Pair]:
        shuffled = ShuffledBatches(*train, min(self.asked.batch_size, len(train.targets)), seed=self.seed)
        return islice(chain.from_iterable(repeat(shuffled)), self.asked.steps)

    def found(self, record: Record) -> str:
        """How far apart they were."""
        of = record.result
        return f"closed form {of['closed_form']:.2g} from the recursion at most, torch's weights {of['torch']:.2g}"


def double(pair: Pair) -> Pair:
    """The same examples in float64."""
    return Pair(pair.inputs.double(), pair.targets)


def vector(network: nn.Module) -> Tensor:
    """All weights as one vector (a copy)."""
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def gradient_of(network: nn.Module, batch: Pair) -> Tensor:
    """The gradient of a batch's cross-entropy as one vector; it is left in the network too."""
    network.zero_grad()
    cross_entropy(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])

"""All networks of one batch size: every learning rate from every seed's start, to the target and for equal epochs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from flatmin.core.cuts import cuts
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.noise_scale.grid import LOST, NETWORKS, REACHED, SHORT
from flatmin.studies.noise_scale.stack import Stack, epochs_of

NEAR, LOOKS = 4.0, 4
"""Below so many times the target a network is looked at so often in an epoch."""


@dataclass(frozen=True)
class BatchTrainings:
    """Train the networks of one batch size; the loss is looked at after each epoch, near the target four times in it.

    Args:
        data: Name, numbers of examples, pool, inputs, classes and the files' md5s.
        width: Of the hidden layers.
        batch_size: Examples of a step.
        learning_rates: One network for each, and each seed.
        momentum: Of SGD.
        seeds: Of the start and the order of examples.
        target: The training loss at which networks are compared.
        epochs: At most, to get there.
        equal_epochs: After which they are compared too.
    """

    data: dict[str, Any]
    width: int
    batch_size: int
    learning_rates: tuple[float, ...]
    momentum: float
    seeds: tuple[int, ...]
    target: float
    epochs: int
    equal_epochs: int

    kind = NETWORKS
    noun = "stacks of networks to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``batch8``."""
        return f"batch{self.batch_size}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the weights."""
        names = ("data", "width", "batch_size", "learning_rates", "momentum", "seeds", "target", "epochs")
        return {name: getattr(self, name) for name in (*names, "equal_epochs")}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows, beside their learning rate and seed."""
        return {"batch_size": self.batch_size}

    @property
    def cost(self) -> float:
        """Three passes an epoch; that of a step counts too, by as many examples as take its time."""
        return float(self.epochs * 3 * (self.data["examples"] + 800 * self.data["examples"] / self.batch_size))

    @property
    def each(self) -> list[tuple[float, int]]:
        """Learning rate and seed of each network, in the order of the stack."""
        return [(rate, seed) for rate in self.learning_rates for seed in self.seeds]

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train, and keep each network as it is at the target and after the equal epochs."""
        starts = {seed: workplace.start(seed) for seed in self.seeds}
        stack, train = Stack.of([starts[seed] for _, seed in self.each]), workplace.train
        rates = torch.tensor([rate for rate, _ in self.each], device=workplace.device)
        kept = Kept(self.target)
        here = torch.arange(len(stack))  # which network each place of the stack holds
        before, guess, epoch = stack.scores(train)[0], math.log(self.data["classes"]), 0
        walk, seen = epochs_of(len(train.targets), self.batch_size, self.seeds), 0.0
        while len(here) and epoch < self.epochs:
            steps = next(walk)
            pauses = {math.ceil(len(steps) * look / LOOKS) for look in range(1, LOOKS)}
            for count, chosen in enumerate(steps, 1):
                own = chosen[here % len(self.seeds)].to(workplace.device)
                stack.step(train.inputs[own], train.targets[own], rates[here], self.momentum)
                last = count == len(steps)
                if last or (count in pauses and kept.near(here, before)):
                    now, losses = epoch + count / len(steps), stack.scores(train)[0]
                    kept.look(stack, here, (seen, before), (now, losses))
                    seen, before = now, losses
            epoch += 1
            advance(1 / self.epochs)
            lost = ~(before.cpu() < guess)
            if epoch == self.equal_epochs:
                for place, network in enumerate(here.tolist()):
                    kept.keep("equal_epochs", network, LOST if lost[place] else REACHED, epoch, stack.state(place))
            if epoch >= self.equal_epochs:
                done = torch.tensor([("equal_loss", network) in kept.rows for network in here.tolist()])
                for network in here[lost & ~done].tolist():
                    kept.keep("equal_loss", network, LOST, math.nan)
                if (gone := lost | done).any():
                    here, before, stack = here[~gone], before[~gone.to(before.device)], stack.kept(~gone)
        advance(1 - epoch / self.epochs)
        for network in here.tolist():
            kept.keep("equal_loss", network, SHORT, math.nan)
        return self._outcome(workplace, kept.rows, kept.states)

    def _outcome(
        self,
        workplace: Laboratory,
        rows: Mapping[tuple[str, int], dict[str, Any]],
        states: Mapping[tuple[str, int], Mapping[str, Tensor]],
    ) -> Outcome:
        steps, table = len(cuts(self.data["examples"], self.batch_size)), list[dict[str, Any]]()
        for (reading, network), row in sorted(rows.items()):
            rate, seed = self.each[network]
            found = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy"), math.nan)
            if (reading, network) in states:
                one = Stack({name: weight[None] for name, weight in states[reading, network].items()}, {})
                for split, data in (("train", workplace.train), ("test", workplace.test)):
                    loss, accuracy = one.scores(data)
                    found |= {f"{split}_loss": float(loss), f"{split}_accuracy": float(accuracy)}
            named = {"learning_rate": rate, "seed": seed, "reading": reading}
            table.append({**named, **row, "updates": row["epochs"] * steps, **found})
        arrays = {
            array_name(reading, network, name): weight.cpu().numpy().astype(np.float32)
            for (reading, network), state in states.items()
            for name, weight in state.items()
        }
        reached = sum(row["status"] == REACHED for row in table if row["reading"] == "equal_loss")
        return Outcome(
            result={"networks": len(self.each), "reached": reached},
            arrays=arrays,
            tables={NETWORKS: pd.DataFrame(table)},
        )

    def network(self, workplace: Laboratory, arrays: Mapping[str, Any], reading: str, network: int) -> nn.Module:
        """One of its networks, as it was kept."""
        found = workplace.start(0)
        state = {name: torch.as_tensor(arrays[array_name(reading, network, name)]) for name in found.state_dict()}
        found.load_state_dict(state)
        return found

    def found(self, record: Record) -> str:
        """How many got to the target."""
        of = record.result
        return f"{of['reached']} of {of['networks']} networks reached a loss of {self.target:g}"


@dataclass
class Kept:
    """What is kept of the networks of a stack: how and when each came to a reading, and its weights there.

    Attributes:
        target: The training loss of the reading ``equal_loss``.
    """

    target: float
    rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    states: dict[tuple[str, int], Mapping[str, Tensor]] = field(default_factory=dict)

    def keep(
        self, reading: str, network: int, status: str, when: float, state: Mapping[str, Tensor] | None = None
    ) -> None:
        """Keep a network for a reading."""
        self.rows[reading, network] = {"status": status, "epochs": float(when)}
        if state is not None:
            self.states[reading, network] = state

    def near(self, here: Tensor, losses: Tensor) -> bool:
        """Whether a network is near the target and not yet there."""
        close = zip(here.tolist(), losses.tolist(), strict=True)
        return any(loss < NEAR * self.target and ("equal_loss", network) not in self.rows for network, loss in close)

    def look(self, stack: Stack, here: Tensor, before: tuple[float, Tensor], now: tuple[float, Tensor]) -> None:
        """Keep those that have come to the target since the last look: epoch and losses of that, and of this."""
        pairs = zip(here.tolist(), before[1].tolist(), now[1].tolist(), strict=True)
        for place, (network, last, loss) in enumerate(pairs):
            if loss <= self.target and ("equal_loss", network) not in self.rows:
                when = before[0] + (now[0] - before[0]) * crossing(last, loss, self.target)
                self.keep("equal_loss", network, REACHED, when, stack.state(place))


def array_name(reading: str, network: int, name: str) -> str:
    """Under which a record holds a weight."""
    return f"{reading}/{network}/{name}"


def crossing(before: float, after: float, target: float) -> float:
    """The part of the time between two looks after which the loss was down to the target, were its fall exponential.

    Example:
        >>> round(crossing(0.04, 0.01, 0.02), 3), crossing(float("nan"), 0.01, 0.02)
        (0.5, 1.0)
    """
    if not 0 < after < target < before < math.inf:
        return 1.0
    return math.log(before / target) / math.log(before / after)

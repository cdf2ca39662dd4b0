"""Many small networks trained at once: weights are stacked, so that a step of all costs little more than one of one.

Every network sees its own batches and has its own learning rate; none knows of the others, and one that diverges leaves
them as they are. Each is the network that :class:`torch.optim.SGD` would train, up to rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flatmin.data.batches import Pair, ShuffledBatches

Chosen = Tensor
"""Numbers of examples, (networks, batch)."""


@dataclass
class Stack:
    """Networks of the same layers, Linear and ReLU in turn.

    Attributes:
        weights: By the names of a single network's state; each (networks, ...).
        velocity: Of momentum, in the same shapes.
    """

    weights: dict[str, Tensor]
    velocity: dict[str, Tensor]

    @classmethod
    def of(cls, networks: Sequence[nn.Module]) -> "Stack":
        """The stack of single networks, which stay as they are."""
        states = [network.state_dict() for network in networks]
        weights = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        return cls(weights, {name: torch.zeros_like(weight) for name, weight in weights.items()})

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    def outputs(self, inputs: Tensor) -> Tensor:
        """Scores, (networks, N, classes), of inputs (networks, N, pixels), or (N, pixels) for all."""
        hidden = inputs.expand(len(self), *inputs.shape[-2:])
        layers = [name.removesuffix(".weight") for name in self.weights if name.endswith(".weight")]
        for layer in layers:
            weight, bias = self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"]
            hidden = torch.baddbmm(bias[:, None], hidden, weight.mT)
            hidden = hidden if layer == layers[-1] else hidden.relu()
        return hidden

    def step(self, inputs: Tensor, targets: Tensor, rates: Tensor, momentum: float) -> None:
        """One step of SGD of each network on its own batch.

        Args:
            inputs: (networks, batch, pixels).
            targets: (networks, batch).
            rates: Learning rates, (networks,).
            momentum: v <- momentum v + g; w <- w - rate v.
        """
        for weight in self.weights.values():
            weight.requires_grad_(True)
        losses = cross_entropy(self.outputs(inputs).mT, targets, reduction="none").mean(1)
        gradients = torch.autograd.grad(losses.sum(), list(self.weights.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
                weight.requires_grad_(False)
                moved = self.velocity[name].mul_(momentum).add_(gradient) if momentum else gradient
                weight.sub_(rates.view(-1, *[1] * (weight.ndim - 1)) * moved)

    def scores(self, data: Pair) -> tuple[Tensor, Tensor]:
        """Cross-entropy and accuracy of each network on all the data; the loss is NaN or infinite where it diverged."""
        with torch.no_grad():
            outputs = self.outputs(data.inputs)
            targets = data.targets.expand(len(self), -1)
            losses = cross_entropy(outputs.mT, targets, reduction="none").mean(1)
            return losses, (outputs.argmax(2) == targets).double().mean(1)

    def kept(self, places: Tensor) -> "Stack":
        """The stack of some of its networks."""
        return Stack(*({name: old[places] for name, old in of.items()} for of in (self.weights, self.velocity)))

    def state(self, place: int) -> Mapping[str, Tensor]:
        """A copy of one network's weights."""
        return {name: weight[place].detach().clone() for name, weight in self.weights.items()}


def epochs_of(examples: int, batch_size: int, seeds: Sequence[int], start: int = 0) -> Iterator[list[Chosen]]:
    """The examples of each step of each epoch, without end: (seeds, batch), drawn as `ShuffledBatches` draws them.

    Args:
        examples: All there are.
        batch_size: Of a step.
        seeds: Of the order, one for each row.
        start: The number of the first epoch.
    """
    numbers = torch.arange(examples)
    walks = [ShuffledBatches(numbers, numbers, batch_size, seed=seed, epoch=start) for seed in seeds]
    while True:
        yield [torch.stack([pair.inputs for pair in step]) for step in zip(*walks, strict=True)]

"""Where networks are trained and looked at: the data on the device, the network, the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.core.errors import ResultsError
from flatmin.data import Dataset
from flatmin.data.batches import Pair, fixed_batches
from flatmin.experiments.step import Step, Workplace
from flatmin.objective.objective import Objective
from flatmin.training import start_network


@dataclass(frozen=True, kw_only=True)
class Laboratory(Workplace):
    """A workplace with a data set and a network.

    Attributes:
        dataset: Training and test examples.
        build: Makes the network.
        loss: The mean loss of a batch.
        each: The loss of every example of a batch; ``None`` where it cannot be had.
    """

    dataset: Dataset
    build: Callable[[], nn.Module]
    loss: Callable[[Any, Any], Tensor]
    each: Callable[[Any, Any], Tensor] | None

    @cached_property
    def train(self) -> Pair:
        """Training examples on the device."""
        return Pair(*(tensor.to(self.device) for tensor in (self.dataset.train.inputs, self.dataset.train.targets)))

    @cached_property
    def test(self) -> Pair:
        """Test examples on the device."""
        return Pair(*(tensor.to(self.device) for tensor in (self.dataset.test.inputs, self.dataset.test.targets)))

    def start(self, seed: int) -> nn.Module:
        """The network at the start of a seed."""
        return start_network(self.build, seed).to(self.device)

    def trained(self, step: Step, epoch: int | None = None) -> nn.Module:
        """The network that a finished training step left, or its snapshot of an epoch.

        Raises:
            ResultsError: If its record holds no such network.
        """
        record = self.record(step)
        arrays = record.arrays
        network = self.start(0)
        names = {name: name if epoch is None else snapshot_name(epoch, name) for name in network.state_dict()}
        try:
            network.load_state_dict({name: torch.as_tensor(arrays[stored]) for name, stored in names.items()})
        except (KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ResultsError(
                f"{record.folder / 'arrays.npz'} does not hold this network ({reason}). Delete {record.folder} to do "
                "this step again."
            ) from error
        return network

    def objective(self, network: nn.Module, data: Pair, batch_size: int, batch_norm: str) -> Objective:
        """The mean loss of ``network`` over ``data``."""
        return Objective(network, self.loss, fixed_batches(*data, batch_size), batch_norm=batch_norm)


def snapshot_name(epoch: int, name: str) -> str:
    """Name under which a record holds a weight as it was after an epoch."""
    return f"epoch_{epoch}/{name}"


def examples_of(pair: Pair, count: int | None, start: int = 0) -> Pair:
    """So many examples from ``start`` on, or all."""
    return pair if count is None else Pair(*(tensor[start : start + count] for tensor in pair))

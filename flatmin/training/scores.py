"""What a network is worth on training and test examples, in both readings of BatchNorm."""

from torch import nn

from flatmin.data.batches import Pair
from flatmin.objective.objective import Objective
from flatmin.training.methods.method import Criterion


class Scores:
    """Loss and accuracy without dropout, each taken twice.

    For BatchNorm is two functions of the weights: with the statistics of each evaluation batch, as the layers of Keskar
    et al. (2017) have them in testing too (``train_loss``, ``test_accuracy``), and with the running averages that torch
    keeps (``running_train_loss``, ``running_test_accuracy``). Averages lag behind, and one bad epoch of theirs can cost
    10 points of accuracy that the network has. Without BatchNorm both are one.

    Args:
        train: Training examples in fixed batches.
        test: Test examples in fixed batches.
        criterion: The mean loss of a batch.
    """

    def __init__(self, train: list[Pair], test: list[Pair], criterion: Criterion) -> None:
        self.batches, self.criterion = {"train": train, "test": test}, criterion
        self._objectives: dict[tuple[str, str], Objective] = {}

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """All of them, by name."""
        found: dict[str, float] = {}
        for split in self.batches:
            objective = self._objective(network, split, "batch")
            score = averaged = objective.evaluate()
            if objective.has_batch_norm:
                averaged = self._objective(network, split, "running").evaluate()
            found |= {f"{split}_loss": score.loss, f"{split}_accuracy": score.accuracy}
            found |= {f"running_{split}_loss": averaged.loss, f"running_{split}_accuracy": averaged.accuracy}
        return found

    def _objective(self, network: nn.Module, split: str, reading: str) -> Objective:
        """The loss at a network, which is tried once."""
        if (split, reading) not in self._objectives:
            batches = self.batches[split]
            self._objectives[split, reading] = Objective(network, self.criterion, batches, batch_norm=reading)
        return self._objectives[split, reading].at(network)

"""How a batch becomes a step of the optimiser: plain training, and what its relatives have in common."""

from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flatmin.core.checked import Checked
from flatmin.core.checks import one_of

if TYPE_CHECKING:
    from pytorch_lightning.core.optimizer import LightningOptimizer
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from flatmin.data.batches import Pair

Closure = Callable[[], Any]
Criterion = Callable[[Any, Any], "Tensor"]


def cross_entropy(outputs: Any, targets: Any) -> "Tensor":
    """That of torch, which is imported no earlier than when called."""
    from torch.nn import functional as F

    return F.cross_entropy(outputs, targets)


@dataclass(frozen=True)
class Method(Checked):
    """One step along the gradient of the mean loss of the batch.

    Others change the loss of a batch or what is done with its gradient. Each has a module in this package, with a field
    for each setting and ``METHOD``, the class; it imports torch no earlier than when a step is taken.

    Attributes:
        name: What a file calls it; each class has one.
        needs_classes: Whether it cannot do with real targets.
        gradients: Gradients that a step takes of each example, for what it costs.
        updates: How often it moves the weights.
        needs_each: Whether it cannot do with a criterion that is no mean over examples.
    """

    _: KW_ONLY
    name: str = "plain"

    needs_classes: ClassVar[bool] = False
    gradients: ClassVar[float] = 1.0
    updates: ClassVar[int] = 1
    needs_each: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("name", self.name, [type(self).name])

    def loss(self, network: "nn.Module", batch: "Pair", criterion: Criterion = cross_entropy) -> "Tensor":
        """What a step makes smaller, a scalar; called in training mode.

        Args:
            network: The network.
            batch: Inputs and targets.
            criterion: The mean loss of a batch, ``criterion(outputs, targets)``.
        """
        return criterion(network(batch.inputs), batch.targets)

    def step(self, network: "nn.Module", optimizer: "Optimizer | LightningOptimizer", closure: Closure) -> None:
        """Update the weights; ``closure`` leaves the gradient of :meth:`loss` in them."""
        optimizer.step(closure)

    def idle(self, batch_size: int) -> str:
        """Why it does nothing of its own with batches of this size; empty where it does."""
        return ""

    def described(self) -> dict[str, Any]:
        """Name and settings, for the identity of a result."""
        return {"name": self.name, **asdict(self)}


def trainable(network: "nn.Module") -> "list[nn.Parameter]":
    """The parameters that training moves."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]

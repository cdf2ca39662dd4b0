"""A network that carries its reading of BatchNorm with it."""

from typing import Any

from torch import nn

from flatmin.objective.rewriting import Handlers, Rewriting


class Standing(nn.Module):
    """Runs a network with some calls of torch answered otherwise.

    Args:
        module: The network.
        handlers: What is called in the place of a function of torch.
    """

    def __init__(self, module: nn.Module, handlers: Handlers) -> None:
        super().__init__()
        self.module = module
        self.handlers = handlers
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Outputs of the network."""
        with Rewriting(self.handlers, {}):
            return self.module(*args, **kwargs)

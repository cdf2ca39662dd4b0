"""The private copy of a network: it stands wherever it is put, and the user's own is never touched."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from flatmin.core.derivatives import slopes
from flatmin.core.precision import full_precision
from flatmin.objective.copying import uncompiled
from flatmin.objective.draws import Draws
from flatmin.objective.parameters import Layout
from flatmin.objective.rewriting import Handlers, Rewriting
from flatmin.objective.state import State

_ONE_AT_A_TIME = threading.RLock()
"""The generators and torch's settings belong to the process, and the copy stands at one point at a time."""


class Network:
    """A copy of a network in evaluation mode, whose weights are written from a flat vector before it is run.

    Weights are written *into* the copy's own parameters, as loading them would do, so that whatever reaches them
    (a list, a tied layer, the recomputation of a checkpoint) finds them.

    Args:
        copy: A deep copy that is nobody else's, on ``device`` and in ``dtype``.
        select: Which parameters move, see :class:`~flatmin.objective.parameters.Layout`.
        dtype: Arithmetic.
        device: Where to compute.
        seed: Of whatever the network draws.

    Attributes:
        owned: The copy's own tensor for the identity of each of the user's that reaches it from outside.
    """

    def __init__(
        self,
        copy: nn.Module,
        select: Sequence[str] | None,
        *,
        dtype: torch.dtype,
        device: torch.device,
        seed: int,
    ) -> None:
        self.module = uncompiled(copy)
        self.layout = Layout.of(self.module, select)
        self.dtype, self.device = dtype, device
        for part in self.module.modules():  # not by eval(), which some networks answer by merging their adapters
            part.training = False
        named = dict(self.module.named_parameters())
        for name, parameter in named.items():
            parameter.requires_grad_(name in self.layout.shapes)
            parameter.grad = None
        for layer in self.module.modules():
            if isinstance(layer, nn.Embedding | nn.EmbeddingBag):  # what would make the gradient another than the slope
                layer.sparse = layer.scale_grad_by_freq = False
            if isinstance(layer, nn.Embedding):
                layer.padding_idx = None
        self.parameters = [named[name] for name in self.layout.shapes]
        self.frozen = [p for name, p in named.items() if name not in self.layout.shapes]
        self.state = State(self.module, self.frozen)
        self.frozen_kept: list[Tensor] | None = None
        self.writes_weights = False
        self.draws = Draws(self.device, seed)
        self.owned: dict[int, Tensor] = {}
        self.needs_graph = False
        self.reentrant = False
        self.recurrent = any(isinstance(layer, nn.RNNBase) for layer in self.module.modules())
        self.loads = 0
        self._written: dict[int, Tensor] = {}
        self._firsts: dict[int, Tensor] = {}

    @property
    def theta(self) -> Tensor:
        """The weights that the copy holds now, (size,)."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    @property
    def unsteady(self) -> bool:
        """Whether running the network changes what the next batch would find."""
        return self.writes_weights or self.state.unsteady or self.frozen_kept is not None

    @torch.no_grad()
    def load(self, theta: Tensor, buffers: dict[int, Tensor]) -> None:
        """Put the copy at ``theta``, its state as it was, the buffers as given."""
        self.loads += 1
        if self.frozen_kept is not None:
            for parameter, kept in zip(self.frozen, self.frozen_kept, strict=True):
                parameter.data.copy_(kept)
        self.state.restore()
        if buffers or self._written:
            wanted = self._written | buffers
            self._written = {place: self._first(place) for place in buffers}
            self.state.write(wanted)
            for parameter in self.frozen:
                if id(parameter) in wanted:
                    parameter.data.copy_(wanted[id(parameter)])
        for parameter, part in zip(self.parameters, self.layout.split(theta), strict=True):
            parameter.data.copy_(part)  # last, for a buffer may be a view of a weight

    def _first(self, place: int) -> Tensor:
        """What a buffer or a frozen parameter, given by its identity, held at first."""
        if place not in self._firsts:
            frozen = {id(parameter): parameter for parameter in self.frozen}
            self._firsts[place] = frozen[place].detach().clone() if place in frozen else self.state.kept(place)
        return self._firsts[place]

    def slopes(self, loss: Tensor, *, create_graph: bool = False) -> tuple[Tensor, ...]:
        """Gradient of the loss of a batch, a part for each parameter.

        Raises:
            RuntimeError: If it is to be differentiated again and a checkpoint of the reentrant kind forbids it.
        """
        for parameter in self.parameters:  # a forward may have frozen it
            parameter.requires_grad_(True)
        if not self.reentrant:
            return slopes(loss, self.parameters, create_graph=create_graph)
        if create_graph:
            raise RuntimeError(
                "a checkpoint with use_reentrant=True cannot be differentiated twice; use use_reentrant=False in the "
                "network, or hvp='finite_difference'."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        found = tuple(torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        for parameter in self.module.parameters():
            parameter.grad = None
        return found

    @contextmanager
    def running(self, handlers: Handlers, *, graph: bool) -> Iterator[None]:
        """Arithmetic, draws and calls of torch as they are to be while the copy runs, with or without a graph."""
        with _ONE_AT_A_TIME, ExitStack() as stack:
            stack.enter_context(_default_dtype())
            stack.enter_context(full_precision(self.device))
            stack.enter_context(torch.set_grad_enabled(graph or self.needs_graph))
            stack.enter_context(self.draws.kept())
            stack.enter_context(_without_fast_paths())
            if self.recurrent and self.device.type == "cuda":  # cuDNN has no gradient in evaluation mode
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if handlers or self.owned:
                stack.enter_context(Rewriting(handlers, self.owned))
            yield


@contextmanager
def _default_dtype() -> Iterator[None]:
    """Give the default dtype back as it was."""
    before = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _without_fast_paths() -> Iterator[None]:
    """Transformers compute the same with and without a gradient: their fast path leaves padded places out."""
    mha = torch.backends.mha
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def arithmetic(model: nn.Module) -> torch.dtype:
    """In what a network is computed: float64 if a weight is, else float32."""
    return torch.float64 if any(p.dtype == torch.float64 for p in model.parameters()) else torch.float32

"""The graph of a network's layers, so far as it can be traced, and the ways through it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from flatmin.objective.copying import copied

Kinds = tuple[type[nn.Module], ...]
WEIGHED: Kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALIZING: Kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
TRANSFORMERS: Kinds = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
IDLE = {"Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "dropout", "contiguous"}
"""What does nothing once a network is evaluated: modules, functions and methods by name."""
FLATTENING = {"Flatten", "flatten", "view", "reshape", "mean"}
AVERAGING = {
    *(f"{kind}AvgPool{axes}d" for kind in ("", "Adaptive") for axes in (1, 2, 3)),
    *(f"{kind}avg_pool{axes}d" for kind in ("", "adaptive_") for axes in (1, 2, 3)),
}
HOMOGENEOUS = {
    *IDLE,
    *AVERAGING,
    *("ReLU", "LeakyReLU", "PReLU", "relu", "relu_", "leaky_relu", "leaky_relu_"),
    *(f"{kind}MaxPool{axes}d" for kind in ("", "Adaptive") for axes in (1, 2, 3)),
    *(f"{kind}max_pool{axes}d" for kind in ("", "adaptive_") for axes in (1, 2, 3)),
}
"""What gives a times its output for a times its input, for every a > 0, each channel by itself."""
EQUIVARIANT = {
    *(HOMOGENEOUS - {"PReLU"}),
    *("Tanh", "Sigmoid", "GELU", "SiLU", "ELU", "SELU", "CELU", "Softplus", "ReLU6", "Hardtanh", "Hardswish", "Mish"),
    *("tanh", "sigmoid", "gelu", "silu", "elu", "selu", "celu", "softplus", "relu6", "hardtanh", "hardswish", "mish"),
}
"""What treats all channels alike, each by itself."""


def is_a(layer: nn.Module, kinds: Kinds) -> bool:
    """Whether a layer is one of these, or derived from it and computes the same.

    One that differs in training alone says so by an attribute ``plain_in_evaluation`` of the class that computes it;
    what is derived from that class and computes on its own is no longer plain.
    """
    names = ("forward", "_conv_forward")
    own = type(layer)
    computing = next(one for one in own.__mro__ if any(name in vars(one) for name in names))
    plain = vars(computing).get("plain_in_evaluation", False)
    return any(
        isinstance(layer, kind)
        and (plain or all(getattr(own, name, None) is getattr(kind, name, None) for name in names))
        for kind in kinds
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers of a known kind are not looked into, whoever derived them."""
        return is_a(m, WEIGHED + NORMALIZING) or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class Way:
    """A way from one layer to the next that has no turnings.

    Attributes:
        source: Where it begins.
        end: The first layer that is not passed.
        flattened: Whether the axes behind the channels were flattened on it, or averaged away.
        carried: BatchNorm layers that were passed.
    """

    source: nn.Module
    end: nn.Module
    flattened: bool
    carried: tuple[nn.Module, ...]


class Traced:
    """The traced parts of a network: the whole of it, or, where that has no graph, those of its parts that have one.

    Args:
        model: The network, in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._uses = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
        self._graphs = list(_graphs(model, _twin(model)))
        self._transformers: list[Any] = [module for module in model.modules() if type(module) in TRANSFORMERS]
        self._calls = Counter(
            id(root.get_submodule(str(node.target)))
            for root, graph in self._graphs
            for node in graph.nodes
            if node.op == "call_module"
        )
        self._read = {
            str(node.target).rpartition(".")[0]: root
            for root, graph in self._graphs
            for node in graph.nodes
            if node.op == "get_attr"
        }

    @property
    def whole(self) -> bool:
        """Whether the network was traced as a whole."""
        return bool(self._graphs) and self._graphs[0][0] is self.model

    def ways(self, passes: set[str], *, starts: Kinds, carrying: bool = False) -> Iterator[Way]:
        """All ways from a layer that is used once to the next.

        Args:
            passes: Names of modules, functions and methods that are passed.
            starts: Types of layers at which a way begins.
            carrying: Whether BatchNorm is passed too.
        """
        for root, graph in self._graphs:
            for node in graph.nodes:
                layer = _module(root, node)
                if layer is None or not is_a(layer, starts) or not self.usable(layer):
                    continue
                if way := self._way(root, node, layer, passes, carrying):
                    yield way
        for layer in self._transformers:
            if _activation(layer) in passes and self.usable(layer.linear1) and self.usable(layer.linear2):
                yield Way(layer.linear1, layer.linear2, False, ())

    def usable(self, layer: nn.Module) -> bool:
        """Whether a layer's weights are its own, in one use, with nothing hooked to it."""
        weight = layer._parameters.get("weight")
        if weight is None or layer._forward_hooks or layer._forward_pre_hooks:
            return False
        if any(root.get_submodule(name) is layer for name, root in self._read.items()):
            return False
        alone = all(self._uses[id(p)] == 1 for p in layer._parameters.values() if p is not None)
        return alone and self._calls[id(layer)] <= 1

    def last(self, passes: set[str]) -> nn.Module | None:
        """The layer whose outputs are the network's, but for what may be passed; ``None`` if it is not known."""
        if not self.whole:
            weighed = [module for module in self.model.modules() if is_a(module, WEIGHED)]
            return weighed[-1] if weighed and self.usable(weighed[-1]) else None
        root, graph = self._graphs[0]
        (output,) = [node for node in graph.nodes if node.op == "output"]
        node = output.args[0]
        while isinstance(node, fx.Node):
            layer = _module(root, node)
            if layer is not None and is_a(layer, WEIGHED):
                return layer if self.usable(layer) and len(_readers(node)) == 1 else None
            if not (_passed(root, node, passes) or _flattens(root, node)) or len(_readers(node)) != 1:
                return None
            node = node.args[0]
        return None

    def _way(self, root: nn.Module, node: fx.Node, source: nn.Module, passes: set[str], carrying: bool) -> Way | None:
        flattened, carried = False, list[nn.Module]()
        while len(readers := _readers(node)) == 1:
            (node,) = readers
            layer = _module(root, node)
            if _flattens(root, node):
                flattened = True
            elif _passed(root, node, passes):
                continue
            elif carrying and layer is not None and is_a(layer, NORMALIZING) and self._calls[id(layer)] == 1:
                carried.append(layer)
            elif layer is not None and node.args and is_a(layer, WEIGHED + NORMALIZING):
                return Way(source, layer, flattened, tuple(carried)) if self._calls[id(layer)] == 1 else None
            else:
                return None
        return None


def _twin(model: nn.Module) -> nn.Module:
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    twin: nn.Module = copied(model, device=device, dtype=torch.float64)[0]
    return twin


def _graphs(model: nn.Module, twin: nn.Module) -> Iterator[tuple[nn.Module, fx.Graph]]:
    """The graphs of a network's parts, traced on a twin of it: a forward may write into its network."""
    tracer = _Tracer()
    try:
        graph = tracer.trace(twin)
    except Exception:  # a forward that branches on its data, or any code that a tracer cannot follow
        graph = None
    finally:
        vars(tracer).clear()  # its closures hold each other, and so the twin, until Python's collector comes by
    if graph is not None:
        yield model, graph
        return
    for child, other in zip(model.children(), twin.children(), strict=True):
        yield from _graphs(child, other)


def _activation(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", type(layer.activation).__name__))


def _module(root: nn.Module, node: fx.Node) -> nn.Module | None:
    return root.get_submodule(str(node.target)) if node.op == "call_module" else None


def _readers(node: fx.Node) -> list[fx.Node]:
    """The nodes that take the values of one, not its shape alone."""
    return [user for user in node.users if not _asks_shape(user)]


def _asks_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim")


def _name(root: nn.Module, node: fx.Node) -> str:
    if (module := _module(root, node)) is not None:
        return type(module).__name__ if type(module).__module__.startswith("torch.nn") else ""
    if node.op in ("call_method", "call_function"):
        return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return ""


def _passed(root: nn.Module, node: fx.Node, passes: set[str]) -> bool:
    module, name = _module(root, node), _name(root, node)
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return True
    return name in passes and not getattr(module, "return_indices", False) and _arguments(node) == 1


def _arguments(node: fx.Node) -> int:
    return len(node.all_input_nodes)


def _flattens(root: nn.Module, node: fx.Node) -> bool:
    """Whether the axes behind the channels become one with them: ``Flatten()``, ``x.view(len(x), -1)``, a mean."""
    name, module = _name(root, node), _module(root, node)
    if name not in FLATTENING:
        return False
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    rest: dict[str, Any] = dict(node.kwargs)
    places = node.args[1:]
    if name == "flatten":
        start = places[0] if places else rest.get("start_dim", 0)
        end = places[1] if len(places) > 1 else rest.get("end_dim", -1)
        return (start, end) == (1, -1)
    if name == "mean":
        axes = places[0] if places else rest.get("dim")
        axes = tuple(axes) if isinstance(axes, tuple | list) else (axes,)
        return set(axes) in ({2, 3}, {-1, -2}, {2}, {2, 3, 4}, {-1, -2, -3}) and not rest.get("keepdim", False)
    shape: Any = places[0] if len(places) == 1 and isinstance(places[0], tuple | list) else places
    if not (isinstance(shape, tuple | list) and len(shape) == 2):
        return False
    return isinstance(shape[0], fx.Node) and bool(shape[1] == -1)

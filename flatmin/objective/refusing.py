"""Networks that have no loss as a function of dense real weights, each refused in one line."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def refuse(model: nn.Module) -> None:
    """Refuse weights that are no dense real tensors with values.

    Raises:
        ValueError: If a parameter is not initialised yet, on the meta device, complex, sparse or spread over machines.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"parameter {name!r} of `model` has no shape yet; run the network once on a batch first.")
        if parameter.is_meta:
            raise ValueError(f"parameter {name!r} of `model` is on the meta device, without values; load them first.")
        if parameter.is_complex():
            raise ValueError(
                f"parameter {name!r} of `model` is complex, and a loss has no curvature in complex weights here; "
                "hold its real and imaginary parts as two real parameters (torch.view_as_real)."
            )
        if parameter.layout != torch.strided:
            raise ValueError(f"parameter {name!r} of `model` is sparse; make it dense with `to_dense()`.")
        if type(parameter.data).__name__ == "DTensor":
            raise ValueError(f"parameter {name!r} of `model` is spread over processes; gather the network first.")


def refuse_script(model: nn.Module) -> None:
    """Refuse scripted layers whose BatchNorm would have to be read otherwise: calls within a script cannot be caught.

    Raises:
        ValueError: If there is one.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, torch.jit.ScriptModule) and "batch_norm" in str(getattr(layer, "inlined_graph", "")):
            place = f"layer {name!r} of `model`" if name else "`model`"
            raise ValueError(f"{place} is TorchScript, which reads BatchNorm one way only: use batch_norm='running'.")

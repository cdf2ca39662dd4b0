"""A network as it was before :func:`torch.compile`: compiled code has no second derivative."""

from torch import nn


def uncompiled(model: nn.Module) -> nn.Module:
    """Take every compiled part of ``model`` back, in place, and return the network itself.

    Names are those of the network as it was written: ``0.weight``, not ``_orig_mod.0.weight``.
    """
    model = getattr(model, "_orig_mod", model)
    for module in list(model.modules()):
        module._compiled_call_impl = None
        for name, child in list(module._modules.items()):
            if hasattr(child, "_orig_mod"):
                setattr(module, name, child._orig_mod)
    return model

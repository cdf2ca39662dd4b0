"""A network as it was before :func:`torch.compile`: compiled code has no second derivative."""

from torch import nn


def uncompiled(model: nn.Module) -> nn.Module:
    """Take every compiled part of ``model`` back, in place, and return the network itself.

    Names are those of the network as it was written: ``0.weight``, not ``_orig_mod.0.weight``. A Trainer that is
    given a compiled LightningModule unwraps it and sets compiled methods on the module; these belong to that very
    module, in a copy of it too, and are taken off.
    """
    model = getattr(model, "_orig_mod", model)
    for module in list(model.modules()):
        module._compiled_call_impl = None
        for name in getattr(module, "_compiler_ctx", None) or ():
            module.__dict__.pop(name.removeprefix("original_"), None)
        for name, child in list(module._modules.items()):
            if hasattr(child, "_orig_mod"):
                setattr(module, name, child._orig_mod)
    return model

r"""Ghost batch normalisation: a large batch is normalised as the small ones that it could be cut into.

Hoffer, Hubara and Soudry (2017), algorithm 1: a batch is split into ghost batches :math:`B^1, \ldots, B^G` of a fixed
size, each normalised by its own mean and variance. The running averages take up one ghost batch after the other,

.. math:: \mu_{run} \leftarrow (1 - m) \mu_{run} + m \mu^l, \qquad l = 1, \ldots, G,

so they forget as fast, counted in examples, as in training with batches of that size. A network is evaluated with
them, as it always is.

Composer's ``apply_ghost_batchnorm`` (read, not run) is another method: it divides the momentum by the number of ghosts,
so that the averages forget as slowly as those of the large batch, cuts evenly (a batch of 130 into ghosts of 65),
refuses a batch smaller than a ghost, in evaluation too, and changes the keys of the ``state_dict``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from flatmin.core.checks import whole

GHOST = 128
"""Examples of a ghost batch in Hoffer et al. (2017)."""
FEW = 8
"""So many ghosts are faster one by one than in one call of the kernel, for which the batch is copied twice; measured on
an H200, where 32 take a third to three quarters of the time in one call. On a CPU the copies never pay."""


class GhostBatchNorm(_BatchNorm):
    """What the three below have in common; made by :func:`ghost_batch_norm`.

    Only training knows ghosts. In evaluation mode the layer is torch's, so whatever measures the network as a function
    of its weights (:class:`flatmin.Objective` in all readings of BatchNorm) measures the plain one.

    Attributes:
        ghost_size: Examples of a ghost batch.
        plain_in_evaluation: Says to whoever looks for BatchNorm in a network that it is one, once evaluated.
    """

    ghost_size: int = GHOST
    plain_in_evaluation = True

    def forward(self, input: Tensor) -> Tensor:
        """Each ghost batch by its own statistics in training; as BatchNorm in evaluation."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        sizes = ghosts(len(input), self.ghost_size)
        if not self.training or len(sizes) < 2:
            return super().forward(input)
        if input.device.type == "cpu" or len(sizes) <= FEW:
            return self._one_by_one(input, sizes)
        return self._at_once(input, sizes)

    def _one_by_one(self, input: Tensor, sizes: list[int]) -> Tensor:
        return torch.cat([super(GhostBatchNorm, self).forward(ghost) for ghost in torch.split(input, sizes)])

    def _at_once(self, input: Tensor, sizes: list[int]) -> Tensor:
        """All ghosts of full size in one call of the kernel, where they stand beside each other as channels."""
        count = len(sizes) - (sizes[-1] != sizes[0])
        head, tail = torch.split(input, [sum(sizes[:count]), sum(sizes[count:])])
        shape, channels = (count, sizes[0], *input.shape[1:]), input.shape[1]
        beside = head.reshape(shape).transpose(0, 1).flatten(1, 2)
        weight, bias = (None if one is None else one.repeat(count) for one in (self.weight, self.bias))
        mean = variance = None
        if self.track_running_stats and self.running_mean is not None:
            mean, variance = self.running_mean.repeat(count), self.running_mean.repeat(count)
        flat = F.batch_norm(beside, mean, variance, weight, bias, training=True, momentum=1.0, eps=self.eps)
        if mean is not None and variance is not None:
            self._take_up(mean.view(count, channels), variance.view(count, channels))
        parted = flat.view(sizes[0], *shape[:1], *shape[2:]).transpose(0, 1).flatten(0, 1)
        outputs = torch.cat([parted, super().forward(tail)]) if len(tail) else parted
        last = torch.channels_last if input.ndim == 4 else torch.channels_last_3d
        keeps = input.ndim > 3 and input.is_contiguous(memory_format=last) and not input.is_contiguous()
        return outputs.contiguous(memory_format=last) if keeps else outputs

    @torch.no_grad()
    def _take_up(self, means: Tensor, variances: Tensor) -> None:
        """The running averages after statistics (ghosts, channels), the first of them first."""
        count, seen = len(means), self.num_batches_tracked
        assert self.running_mean is not None and self.running_var is not None and seen is not None
        if self.momentum is None:
            kept = seen / (seen + count)
            shares = (1 / (seen + count)).expand(count)
        else:
            kept = torch.tensor((1 - self.momentum) ** count, device=means.device)
            ages = torch.arange(count - 1, -1, -1, device=means.device)
            shares = self.momentum * (1 - self.momentum) ** ages
        for average, found in ((self.running_mean, means), (self.running_var, variances)):
            average.mul_(kept.to(average)).add_(shares.to(average) @ found)
        seen.add_(count)

    def extra_repr(self) -> str:
        """Torch's, and the size."""
        return f"{super().extra_repr()}, ghost_size={self.ghost_size}"  # type: ignore[no-untyped-call]


class GhostBatchNorm1d(GhostBatchNorm, nn.BatchNorm1d):
    """Of inputs (N, C) or (N, C, L)."""


class GhostBatchNorm2d(GhostBatchNorm, nn.BatchNorm2d):
    """Of inputs (N, C, H, W)."""


class GhostBatchNorm3d(GhostBatchNorm, nn.BatchNorm3d):
    """Of inputs (N, C, D, H, W)."""


TWINS: dict[type[nn.Module], type[GhostBatchNorm]] = {
    nn.BatchNorm1d: GhostBatchNorm1d,
    nn.BatchNorm2d: GhostBatchNorm2d,
    nn.BatchNorm3d: GhostBatchNorm3d,
}


def ghosts(examples: int, size: int) -> list[int]:
    """Examples in each ghost batch: what is left after whole ones is one of its own if it is more than half of one.

    So none has fewer examples than half a ghost (but a batch that has not), and none a single one, which has no
    variance.

    Example:
        >>> ghosts(512, 128), ghosts(300, 128), ghosts(330, 128), ghosts(100, 128)
        ([128, 128, 128, 128], [128, 172], [128, 128, 74], [100])
    """
    whole_ones, left = divmod(examples, size)
    count = max(1, whole_ones + (2 * left > size))
    return [size] * (count - 1) + [examples - size * (count - 1)]


def ghost_batch_norm(model: nn.Module, size: int = GHOST) -> int:
    """Let every BatchNorm layer of a network normalise ghost batches of ``size`` examples in training, in place.

    The layers stay the objects they are, with their parameters, buffers, hooks and places: an optimiser made before
    goes on, a layer used twice stays one, and a ``state_dict`` has the same keys, so weights go from the plain network
    to this one and back. The ghosts of a batch are its consecutive examples, cut as :func:`ghosts` says; a batch of at
    most one and a half ghosts is normalised as ever. Running averages are updated once a ghost, in order. With
    ``momentum=None`` they are the mean over all ghosts; ``num_batches_tracked`` counts ghosts.

    Args:
        model: Any module; itself a BatchNorm layer, or with such layers.
        size: Examples of a ghost batch.

    Returns:
        How many layers were changed: 0 if there is no BatchNorm, or all have ghosts of this size already.

    Raises:
        TypeError: If ``model`` is no module or ``size`` no whole number.
        ValueError: If ``size`` is below 2, or a layer is a kind of BatchNorm with a forward of its own; then none is
            changed.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
        >>> ghost_batch_norm(network, size=32), ghost_batch_norm(network, size=32)
        (1, 0)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a torch module, got {type(model).__name__}.")
    whole("size", size, minimum=2)
    changed = []
    for name, layer in model.named_modules():
        if isinstance(layer, GhostBatchNorm):
            changed += [layer] if layer.ghost_size != size else []
        elif type(layer) in TWINS:
            changed.append(layer)
        elif isinstance(layer, _BatchNorm):
            raise ValueError(_why_not(name, layer))
    for layer in changed:
        layer.__class__ = TWINS.get(type(layer), type(layer))
        layer.ghost_size = size
    return len(changed)


def _why_not(name: str, layer: nn.Module) -> str:
    named = f"the layer {name!r}, a {type(layer).__name__}," if name else f"a {type(layer).__name__}"
    if isinstance(layer, LazyModuleMixin):
        return f"{named} does not know its channels yet; call the network once before ghost_batch_norm."
    return f"{named} cannot have ghosts: only torch's BatchNorm1d, 2d and 3d can."

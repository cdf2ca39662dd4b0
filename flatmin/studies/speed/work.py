"""What an update asks of a machine, counted while it is done: operations, bytes and kernels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Work:
    """The work of one update.

    Attributes:
        flops: Additions and multiplications of the products of matrices.
        bytes: Read and written if every kernel fetches its operands from memory and puts back what it makes.
        footprint: Bytes of all memory that is touched.
        kernels: Operations that are started one by one.
    """

    flops: float
    bytes: float
    footprint: float
    kernels: int


def counted(update: Callable[[], object]) -> Work:
    """Do an update and count its work.

    Example:
        >>> import torch
        >>> a, b = torch.ones(8, 16), torch.ones(16, 4)
        >>> counted(lambda: a.t().t() @ b)
        Work(flops=1024, bytes=896, footprint=896, kernels=1)
    """
    traffic, flops = Traffic(), FlopCounterMode(display=False)
    with flops, traffic:
        update()
    return Work(flops.get_total_flops(), traffic.bytes, sum(traffic.places.values()), traffic.kernels)


class Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what every kernel reads and writes; a view is no kernel."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.kernels = 0
        self.places: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation and count it."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        schema = func._schema
        returned = [result.alias_info for result in schema.returns]
        if not any(alias is not None and not alias.is_write for alias in returned):
            given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
            changed = [given.get(name) for name in written(schema)]
            made = [found] if all(alias is None for alias in returned) else []
            moved = [*tensors([*given.values()]), *tensors(changed), *tensors(made)]
            self.bytes += sum(map(size, moved))
            self.places |= {tensor.untyped_storage().data_ptr(): size(tensor) for tensor in moved}
            self.kernels += 1
        return found


def written(schema: Any) -> Iterator[str]:
    """The arguments that an operation changes."""
    for argument in schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield argument.name


def size(tensor: Tensor) -> int:
    """The bytes of a tensor; what it repeats is fetched once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def tensors(values: Any) -> Iterator[Tensor]:
    """The tensors among values, and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)

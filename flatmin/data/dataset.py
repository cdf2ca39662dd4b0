"""A data set as whole tensors: inputs, targets and where they came from."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split, in the publisher's order.

    Args:
        inputs: ``(N, *input_shape)``, float32: pixels in [0, 1], or normalised features of speech; int64 for tokens.
        targets: ``(N,)``, int64 class numbers; or ``(N, ...)``, float32 real targets.

    Raises:
        TypeError: If a tensor has another dtype.
        ValueError: If the two lengths differ or there is no example.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):
            if getattr(self, name).dtype not in (torch.float32, torch.int64):
                raise TypeError(f"`{name}` must be float32 or int64, got {getattr(self, name).dtype}.")
        shape = self.targets.shape[:1] if self.targets.is_floating_point() else self.targets.shape
        if shape != self.inputs.shape[:1]:
            raise ValueError(
                f"`targets` must have shape ({len(self.inputs)},), one per input, got {tuple(self.targets.shape)}."
            )
        if len(self.targets) == 0:
            raise ValueError("`inputs` must hold at least one example, got none.")

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device | str) -> "Split":
        """The same examples on another device."""
        return Split(self.inputs.to(device), self.targets.to(device))

    def first(self, n: int) -> "Split":
        """The first ``n`` examples, as views.

        Args:
            n: How many, from 1 to the length of the split.

        Returns:
            The shorter split.

        Raises:
            ValueError: If ``n`` is not in that range.

        Example:
            >>> split = Split(torch.zeros(3, 2), torch.tensor([4, 5, 6]))
            >>> split.first(2).targets
            tensor([4, 5])
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"`n` must be from 1 to {len(self)}, got {n}.")
        return Split(self.inputs[:n], self.targets[:n])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A train and a test split with their shapes and their origin.

    Args:
        name: Name in the catalogue.
        train: Training examples.
        test: Test examples.
        num_classes: Number of classes; 0 for real targets.
        input_shape: Shape of one input, channels first.
        provenance: JSON-able record: ``source`` (the publisher's page), ``place`` (where the files lie),
            ``files`` (name -> md5 as found), ``changed`` (names of those whose md5 is not the expected one: the
            published one, or the one noted when the set was prepared) and ``verified`` (whether there is no such
            file). For TIMIT ``timit`` tells how the frames were prepared.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    input_shape: tuple[int, ...]
    provenance: dict[str, Any]

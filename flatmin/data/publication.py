"""What a publisher distributes: the size of a data set, its files, where to fetch them, how to decode them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.data.files import Copy, File, Layout

Examples = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Download:
    """A published file: address, place under the root, md5."""

    url: str
    path: str
    md5: str

    def fetch(self, root: Path) -> None:
        """Download the file; it appears under its name only when it is whole and its md5 is right.

        Args:
            root: Folder to fill.

        Raises:
            DataError: If it cannot be downloaded or stored.
        """
        import pooch

        pooch.get_logger().setLevel("WARNING")
        target = root / self.path
        try:
            pooch.retrieve(self.url, f"md5:{self.md5}", target.name, target.parent, progressbar=True)
        except (OSError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else type(error).__name__
            raise DataError(
                f"{self.url} could not be downloaded to {target} ({reason}). Put the published file there by "
                "hand, or name the folder that has it with `--data` or $FLATMIN_DATA."
            ) from error


@dataclass(frozen=True)
class Publication:
    """A data set as published.

    Args:
        name: Name in the catalogue.
        words: Its name in a text.
        source: The publisher's page.
        num_classes: Number of classes.
        input_shape: Shape of one image, channels first.
        num_train: Published number of training examples.
        num_test: Published number of test examples.
        decode: Maps the files to train and test examples.
        white: Largest pixel value.
        layouts: Ways in which the files may lie under a root, preferred first.
        downloads: The files to fetch; together they make one of the layouts.
        bundled: Gives the files of a set that comes with an installed package.
    """

    name: str
    words: str
    source: str
    num_classes: int
    input_shape: tuple[int, ...]
    num_train: int
    num_test: int
    decode: Callable[[Mapping[str, File]], tuple[Examples, Examples]]
    white: int = 255
    layouts: tuple[Layout, ...] = ()
    downloads: tuple[Download, ...] = ()
    bundled: Callable[[], Copy] | None = None

    @property
    def most_bytes(self) -> int:
        """No fewer bytes than its files have: the pixels of an example, and 64 for its labels and name."""
        return (self.num_train + self.num_test) * (math.prod(self.input_shape) + 64) + 2**20

    def find(self, roots: Iterable[Path]) -> Copy | None:
        """Read the set from the first root and layout of which nothing is missing; ``None`` if it is nowhere."""
        if self.bundled is not None:
            return self.bundled()
        for root, layout in product(roots, self.layouts):
            if not layout.missing(root):
                return layout.read(root, self.most_bytes)
        return None

    def absence(self, roots: Iterable[Path]) -> str:
        """One sentence on where the set was searched, and what is missing where a part of it lies."""
        roots = list(roots)
        layouts = dict.fromkeys(layout.archive or f"{layout.folder}/" for layout in self.layouts)
        partial = [
            f"{missing[0]} is missing"
            for root, layout in product(roots, self.layouts)
            if 0 < len(missing := layout.missing(root)) < len(layout.md5) and not layout.archive
        ]
        searched = f"searched for {', '.join(layouts)} under {', '.join(map(str, roots))}"
        return f"{self.name} was not found: {'; '.join([searched, *partial])}."


def class_numbers(path: str, labels: Sequence[int], count: int, num_classes: int) -> npt.NDArray[np.int64]:
    """Labels as int64, once they are known to fit the images.

    Args:
        path: File to name in the message.
        labels: Labels read from it.
        count: Number of images.
        num_classes: Number of classes.

    Returns:
        The labels.

    Raises:
        DataError: If there is no image, not one label an image, or a label that is no class number.
    """
    if count == 0 or len(labels) != count:
        raise DataError(f"{path}: expected one label for each of {count} images, got {len(labels)}.")
    if min(labels) < 0 or max(labels) >= num_classes:
        raise DataError(
            f"{path}: expected labels from 0 to {num_classes - 1}, got {_told(min(labels))} to {_told(max(labels))}."
        )
    return np.array(labels, np.int64)


def _told(label: int) -> str:
    """A number in words that fit in a line; Python spells none of thousands of digits."""
    return str(label) if abs(label) < 2**64 else f"a number of {label.bit_length()} bits"

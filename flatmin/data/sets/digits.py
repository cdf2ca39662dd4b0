"""The 8 x 8 digits inside scikit-learn: 1,797 images, for quick runs. Alpaydin and Kaynak (1998)."""

from collections.abc import Mapping

import numpy as np

from flatmin.data.files import Copy, File
from flatmin.data.publication import Examples, Publication

_NUM_TEST = 360
_NUM_EXAMPLES = 1797
_SHAPE = (1, 8, 8)


def bundled() -> Copy:
    """The images, then the labels, as unsigned bytes in scikit-learn's order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    content = digits.images.astype(np.uint8).tobytes() + digits.target.astype(np.uint8).tobytes()
    file = File("sklearn.datasets.load_digits", content, "7696c07daa6d85010f8268703ab8b067")
    return Copy("scikit-learn", {"digits": file})


def decode(files: Mapping[str, File]) -> tuple[Examples, Examples]:
    """Split into 1,437 training and 360 test images, stratified by class, shuffled with seed 0.

    The publisher gives scikit-learn no split; this one is fixed so that results can be compared.
    """
    from sklearn.model_selection import train_test_split

    values = np.frombuffer(files["digits"].content, np.uint8)
    images, labels = values[:-_NUM_EXAMPLES].reshape(-1, *_SHAPE), values[-_NUM_EXAMPLES:].astype(np.int64)
    train, test = train_test_split(np.arange(_NUM_EXAMPLES), test_size=_NUM_TEST, stratify=labels, random_state=0)
    return (images[train], labels[train]), (images[test], labels[test])


PUBLICATION = Publication(
    name="digits",
    words="digits (8×8)",
    source="https://archive.ics.uci.edu/dataset/80",
    num_classes=10,
    input_shape=_SHAPE,
    num_train=_NUM_EXAMPLES - _NUM_TEST,
    num_test=_NUM_TEST,
    decode=decode,
    white=16,
    bundled=bundled,
)

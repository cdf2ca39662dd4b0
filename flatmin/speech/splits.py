"""Training and test frames: 70 per cent and the rest, at random."""

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError

Integers = npt.NDArray[np.int64]

SPLITS = ("frames", "speakers")
SHARE = 0.7
"""Share of the training split; the paper's 721,329 of 1,031,950 frames are 69.9 per cent."""


def split_frames(speakers: Integers, split: str, seed: int = 0) -> tuple[Integers, Integers]:
    """Numbers of the training and of the test frames, each in random order, so that the first n are a fair sample.

    ``"frames"`` draws single frames, as Keskar et al. (2017) did. This leaks: the neighbours of a test frame, which
    share most of its nine spliced frames and mostly its state, are training frames. ``"speakers"`` draws speakers, so
    that no voice is on both sides: the honest measure of generalisation.

    Args:
        speakers: ``(frames,)``, whose voice each frame is.
        split: ``"frames"`` or ``"speakers"``.
        seed: Of the draw.

    Returns:
        Rows of the training frames and rows of the test frames.

    Raises:
        DataError: If there is no such split, or too little for two sides.
    """
    require_split(split)
    groups = np.arange(len(speakers)) if split == "frames" else speakers
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(np.unique(groups))
    if len(drawn) < 2:
        raise DataError(f"a split by {split} needs at least two of them, got {len(drawn)}.")
    count = min(max(round(SHARE * len(drawn)), 1), len(drawn) - 1)
    chosen = np.isin(groups, drawn[:count])
    return rng.permutation(np.flatnonzero(chosen)), rng.permutation(np.flatnonzero(~chosen))


def require_split(split: str) -> None:
    """Refuse a name that is none of ``SPLITS``.

    Raises:
        DataError: If it is not.
    """
    if split not in SPLITS:
        raise DataError(f"`split` must be one of {', '.join(map(repr, SPLITS))}, got {split!r}.")

"""Which state of which phone, between which neighbours, every frame shows."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flatmin.speech.corpus import Segment
from flatmin.speech.features import STEP, WINDOW
from flatmin.speech.phones import DELETED, FOLDING, PHONES, SILENCE

NUM_STATES = 3
"""States of a phone, from its beginning to its end."""


def triphone_states(segments: Sequence[Segment], frames: int) -> npt.NDArray[np.int64]:
    """State and neighbours of each frame of an utterance.

    A frame shows the last phone that has begun when the frame is half over, so no frame is without one: not in a gap,
    not after the last segment, and not where the glottal stop was deleted. The frames of a phone are cut into three
    states of equal length; this is no Viterbi alignment, in which states have the lengths that the audio suggests.

    Args:
        segments: The phones, in order.
        frames: Frames of the utterance.

    Returns:
        ``(frames, 3)``: number of phone and state, 3 x phone + state; left phone; right phone. Beyond either end of
        the utterance is silence.
    """
    kept = [segment for segment in segments if segment.phone != DELETED] or [Segment(0, 1, "h#")]
    phones = np.array([PHONES.index(FOLDING[segment.phone]) for segment in kept])
    edge = PHONES.index(SILENCE)
    around = np.concatenate([[edge], phones, [edge]])
    centres = STEP * np.arange(frames) + WINDOW // 2
    shown = np.searchsorted([segment.start for segment in kept], centres, side="right") - 1
    shown = np.maximum(shown, 0)
    return np.stack([NUM_STATES * phones[shown] + _thirds(shown), around[shown], around[shown + 2]], axis=1)


def _thirds(shown: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """State of each frame, from its place among the frames of its segment; a lone frame shows the middle one."""
    _, first, inverse, lengths = np.unique(shown, return_index=True, return_inverse=True, return_counts=True)
    place = np.arange(len(shown)) - first[inverse]
    thirds: npt.NDArray[np.int64] = NUM_STATES * (2 * place + 1) // (2 * lengths[inverse])
    return thirds

"""Kaldi's log-mel energies, normalised per speaker and spliced with their neighbours."""

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.speech.corpus import SAMPLE_RATE
from flatmin.speech.extra import imported

Array = npt.NDArray[np.float32]

WINDOW = 400
"""Samples in a window: 25 ms."""
STEP = 160
"""Samples from one window to the next: 10 ms."""
NUM_MELS = 40
CONTEXT = 4
"""Frames spliced to either side: nine frames of 40 energies are the paper's 360 inputs."""


def num_frames(num_samples: int) -> int:
    """How many whole windows fit: Kaldi's ``snip_edges``.

    Example:
        >>> num_frames(399), num_frames(400), num_frames(560)
        (0, 1, 2)
    """
    return max(0, 1 + (num_samples - WINDOW) // STEP)


def log_mels(samples: npt.NDArray[np.int16], name: str = "`samples`") -> Array:
    """Log-mel energies as Kaldi computes them, without dither.

    Args:
        samples: ``(samples,)`` at 16 kHz, 16-bit.
        name: What to call them in a message.

    Returns:
        ``(frames, 40)``; frame t spans samples 160 t to 160 t + 400.

    Raises:
        DataError: If there is not one whole window.
    """
    fbank = imported("kaldi_native_fbank")
    count = num_frames(len(samples))
    if count == 0:
        raise DataError(f"{name} is shorter than a window: expected at least {WINDOW} samples, got {len(samples)}.")
    options = fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = NUM_MELS
    computer = fbank.OnlineFbank(options)
    computer.accept_waveform(SAMPLE_RATE, samples.astype(np.float32))
    computer.input_finished()
    return np.stack([computer.get_frame(frame) for frame in range(count)])


def normalized(features: Array, speakers: npt.NDArray[np.int64]) -> Array:
    """Shift and scale every feature to mean 0 and variance 1 over each speaker's frames.

    Args:
        features: ``(frames, dim)``.
        speakers: ``(frames,)``, whose voice each frame is.

    Returns:
        ``(frames, dim)``; a feature that never changes becomes 0.
    """
    result = np.empty_like(features)
    for speaker in np.unique(speakers):
        own = features[speakers == speaker].astype(np.float64)
        deviation = own.std(axis=0)
        result[speakers == speaker] = (own - own.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return result


def spliced(features: Array, lengths: npt.ArrayLike, context: int, rows: npt.NDArray[np.int64]) -> Array:
    """Frames beside their neighbours in time; at the ends of an utterance its first or last frame is repeated.

    Args:
        features: ``(frames, dim)``, utterance after utterance.
        lengths: Frames of each utterance.
        context: Neighbours on either side.
        rows: Which frames to return.

    Returns:
        ``(len(rows), (2 * context + 1) * dim)``, the earliest neighbour first.

    Example:
        >>> frames = np.float32([[1], [2], [3], [7]])
        >>> spliced(frames, [3, 1], 1, np.arange(4)).tolist()
        [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0], [7.0, 7.0, 7.0]]
    """
    counts = np.asarray(lengths)
    ends = np.repeat(np.cumsum(counts), counts)[rows]
    starts = ends - np.repeat(counts, counts)[rows]
    neighbours = rows[:, None] + np.arange(-context, context + 1)
    neighbours = np.clip(neighbours, starts[:, None], ends[:, None] - 1)
    beside: Array = features[neighbours].reshape(len(rows), -1)
    return beside

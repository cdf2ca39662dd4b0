"""Kaldi's energies against their definition in NumPy; splicing and normalisation against plain loops."""

import numpy as np
import pytest

from flatmin.core.errors import DataError
from flatmin.speech.features import log_mels, normalized, num_frames, spliced


def mel(hertz):
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def energies_by_definition(samples):
    """Povey et al. (2011): DC removed, pre-emphasis 0.97, Povey's window, power, 40 triangles from 20 to 8000 Hz."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    edges = np.linspace(mel(20), mel(8000), 42)
    bins = mel(np.arange(256) * 16_000 / 512)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400].astype(float)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, 512))[:256] ** 2
        triangles = [
            np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0, None)
            for low, mid, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
        ]
        rows.append(np.log(np.maximum(np.array(triangles) @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("length", [400, 559, 560, 4000])
def test_energies_are_those_of_the_definition(length):
    rng = np.random.default_rng(0)
    time = np.arange(length) / 16_000
    samples = (3000 * np.sin(2 * np.pi * 700 * time) + rng.normal(0, 300, length)).astype(np.int16)
    expected = energies_by_definition(samples)
    assert len(expected) == 1 + (length - 400) // 160
    np.testing.assert_allclose(log_mels(samples), expected, atol=2e-4)


def test_energies_are_the_same_every_time():
    samples = np.random.default_rng(0).normal(0, 1, 1000).astype(np.int16)
    assert np.array_equal(log_mels(samples), log_mels(samples))


def test_too_short():
    assert num_frames(399) == 0
    with pytest.raises(DataError, match=r"a\.wav is shorter than a window: expected at least 400 samples, got 399"):
        log_mels(np.zeros(399, np.int16), "a.wav")


def test_every_speaker_is_normalised_alone():
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 3, 300)
    features = rng.normal(5 * speakers[:, None], 1 + speakers[:, None], (300, 4)).astype(np.float32)
    features[:, 3] = 7
    result = normalized(features, speakers)
    for speaker in range(3):
        own = result[speakers == speaker]
        np.testing.assert_allclose(own.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(own.std(0), [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(normalized(result, speakers), result, atol=1e-6)


@pytest.mark.parametrize("context", [0, 1, 4])
def test_splicing_by_hand(context):
    rng = np.random.default_rng(0)
    lengths = [1, 6, 12]
    features = rng.normal(size=(19, 3)).astype(np.float32)
    expected, first = [], 0
    for length in lengths:
        own = features[first : first + length]
        padded = np.concatenate([own[:1]] * context + [own] + [own[-1:]] * context)
        expected += [padded[t : t + 2 * context + 1].ravel() for t in range(length)]
        first += length
    rows = rng.permutation(19)
    assert np.array_equal(spliced(features, lengths, context, rows), np.array(expected)[rows])

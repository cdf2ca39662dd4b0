import numpy as np
import pytest

from flatmin.core.errors import DataError
from flatmin.speech.splits import split_frames

SPEAKERS = np.repeat(np.arange(10), np.arange(10, 110, 10))


@pytest.mark.parametrize("split", ["frames", "speakers"])
def test_every_frame_is_on_one_side(split):
    train, test = split_frames(SPEAKERS, split)
    assert sorted([*train, *test]) == list(range(len(SPEAKERS)))
    assert (train[:-1] > train[1:]).any(), "in random order"
    again = split_frames(SPEAKERS, split)
    assert np.array_equal(train, again[0])
    assert not np.array_equal(train, split_frames(SPEAKERS, split, seed=1)[0])


def test_sizes():
    assert len(split_frames(SPEAKERS, "frames")[0]) == round(0.7 * len(SPEAKERS))
    train, test = split_frames(SPEAKERS, "speakers")
    assert len(set(SPEAKERS[train])) == 7
    assert len(set(SPEAKERS[test])) == 3
    assert not set(SPEAKERS[train]) & set(SPEAKERS[test])


@pytest.mark.parametrize("seed", range(5))
def test_two_speakers_are_one_a_side(seed):
    train, test = split_frames(np.array([0, 0, 1]), "speakers", seed)
    assert {len(train), len(test)} == {1, 2}


def test_refusals():
    with pytest.raises(DataError, match="`split` must be one of 'frames', 'speakers', got 'random'"):
        split_frames(SPEAKERS, "random")
    with pytest.raises(DataError, match="a split by speakers needs at least two of them, got 1"):
        split_frames(np.zeros(9, np.int64), "speakers")

"""States of frames against a plain reading of the rules, frame by frame."""

import numpy as np
import pytest

from flatmin.speech.corpus import Segment
from flatmin.speech.phones import FOLDING, PHONES
from flatmin.speech.states import triphone_states


def read(segments, frames):
    shown = triphone_states([Segment(*segment) for segment in segments], frames)
    return [(PHONES[state // 3], state % 3, PHONES[left], PHONES[right]) for state, left, right in shown.tolist()]


def segments_of_frames(*phones_and_lengths):
    """Segments that hold so many frames each: frame t is half over at sample 160 t + 200."""
    edges = np.cumsum([0, *(length for _, length in phones_and_lengths)]) * 160 + 120
    return [(a, b, phone) for (phone, _), a, b in zip(phones_and_lengths, edges[:-1], edges[1:], strict=True)]


def test_three_states_between_neighbours():
    assert read(segments_of_frames(("h#", 3), ("sh", 6), ("axr", 3)), 12) == [
        *(("sil", state, "sil", "sh") for state in (0, 1, 2)),
        *(("sh", state, "sil", "er") for state in (0, 0, 1, 1, 2, 2)),
        *(("er", state, "sh", "sil") for state in (0, 1, 2)),
    ]


@pytest.mark.parametrize(
    ("length", "states"),
    [(1, [1]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 1, 2]), (5, [0, 0, 1, 2, 2]), (7, [0, 0, 1, 1, 1, 2, 2])],
)
def test_thirds_of_short_phones(length, states):
    assert [state for _, state, _, _ in read(segments_of_frames(("iy", length)), length)] == states
    assert states == [2 - state for state in reversed(states)]


def test_phone_without_a_frame_is_still_a_neighbour():
    assert [row[::3] for row in read([(0, 350, "h#"), (350, 355, "t"), (355, 600, "r")], 2)] == [
        ("sil", "t"),
        ("r", "sil"),
    ]
    assert read([(0, 350, "h#"), (350, 355, "t"), (355, 600, "r")], 2)[1][2] == "t"


def test_glottal_stop_is_deleted_and_its_frames_stay():
    with_stop = read(segments_of_frames(("iy", 2), ("q", 4), ("s", 3)), 9)
    assert with_stop == read(segments_of_frames(("iy", 6), ("s", 3)), 9)


@pytest.mark.parametrize("segments", [[(0, 5000, "q")], [(5000, 6000, "h#")]])
def test_frames_before_the_first_phone(segments):
    assert {row[0] for row in read(segments, 10)} == {"sil"}


def test_random_utterances_by_plain_reading():
    rng = np.random.default_rng(0)
    for _ in range(50):
        edges = np.unique(rng.integers(1, 8000, 12))
        names = rng.choice(["h#", "sh", "ae", "q", "bcl", "ux", "ax-h"], len(edges))
        gaps = rng.integers(0, 2, len(edges)) * 1
        segments = [(int(a), int(b), str(n)) for a, b, n in zip(edges[:-1], edges[1:], names[:-1], strict=True)]
        segments = [(a, max(a + 1, b - gap), n) for (a, b, n), gap in zip(segments, gaps[:-1], strict=True)]
        kept = [segment for segment in segments if segment[2] != "q"]
        if not kept:
            continue
        frames = 50
        owner = [max([k for k, s in enumerate(kept) if s[0] <= 160 * t + 200], default=0) for t in range(frames)]
        around = ["sil", *(FOLDING[n] for _, _, n in kept), "sil"]
        expected = []
        for t, k in enumerate(owner):
            place, length = t - owner.index(k), owner.count(k)
            expected.append((around[k + 1], int(3 * (place + 0.5) / length), around[k], around[k + 2]))
        assert read(segments, frames) == expected

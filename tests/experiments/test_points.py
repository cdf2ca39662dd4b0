"""Points of a slice on disk: kept as they come, taken up again, whatever a killed process left."""

import math
from hashlib import sha256

import pytest

from flatmin.experiments.points import Points


def test_points_come_back_under_their_slice(tmp_path):
    points, heard = Points(tmp_path / "points.jsonl"), []
    keep = points.keep("train", lambda: heard.append(1))
    keep((0, 1), (0.1, 0.5))
    keep((2, 0), (math.inf, math.nan))
    points.keep("test", lambda: None)((0, 1), (0.25, 1.0))
    assert points.known("test") == {(0, 1): (0.25, 1.0)}
    known = points.known("train")
    assert known[0, 1] == (0.1, 0.5)
    assert math.isinf(known[2, 0][0]) and math.isnan(known[2, 0][1])
    assert len(heard) == 2


def test_every_cut_of_the_file_loses_at_most_the_last_point(tmp_path):
    points = Points(tmp_path / "points.jsonl")
    for i in range(3):
        points.keep("train", lambda: None)((i,), (i + 0.125, 0.5))
    whole = points.path.read_bytes()
    values = {(i,): (i + 0.125, 0.5) for i in range(3)}
    for length in range(len(whole) + 1):
        points.path.write_bytes(whole[:length])
        points.keep("train", lambda: None)((9,), (9.0, 1.0))
        known = points.known("train")
        assert known.pop((9,)) == (9.0, 1.0)
        assert known.items() <= values.items()
        assert len(known) >= whole[:length].count(b"]]")


def test_foreign_bytes_are_dropped(tmp_path):
    points = Points(tmp_path / "points.jsonl")
    points.path.write_bytes(b'\n\x00\x00\n3\nnull\n\xff\xfe\n["train", [1]]\n')
    assert points.known("train") == {}


@pytest.mark.parametrize(
    ("old", "new"), [("0.125", "0.135"), ("[1]", "[2]"), ('"train"', '"trail"'), ("0.5]", "0.5, 1]"), ("[1]", "[[1]]")]
)
def test_a_line_that_is_not_as_it_was_written_is_done_again(tmp_path, old, new):
    points = Points(tmp_path / "points.jsonl")
    points.keep("train", lambda: None)((0,), (7.0, 0.25))
    points.keep("train", lambda: None)((1,), (0.125, 0.5))
    first, second = points.path.read_text().strip().splitlines()
    assert old in second
    points.path.write_text(f"{first}\n{second.replace(old, new)}")
    assert points.known("train") == {(0,): (7.0, 0.25)} and points.known("trail") == {}


@pytest.mark.parametrize("text", ["[" * 10_000, '["train", 1, [1, 2]]', '["train", [0], ["a", 2]]', "{}", "1"])
def test_a_line_of_the_wrong_shape_is_done_again_whatever_its_digest(tmp_path, text):
    points = Points(tmp_path / "points.jsonl")
    points.path.write_text(f"{sha256(text.encode()).hexdigest()[:16]} {text}\n")
    assert points.known("train") == {}

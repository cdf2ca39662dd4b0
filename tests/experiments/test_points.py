"""Points of a slice on disk: kept as they come, taken up again, whatever a killed process left."""

import math

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

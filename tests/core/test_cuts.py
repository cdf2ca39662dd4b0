"""How examples are cut into batches: against the remainder of a division."""

import pytest

from flatmin.core.cuts import cuts, small_tail, tail, without_small_tail

CASES = [(34_086, 355), (34_086, 256), (80, 79), (1437, 300), (7, 3), (9, 4), (10, 5)]


@pytest.mark.parametrize(("examples", "size"), CASES)
def test_a_tail_is_the_remainder_but_for_a_single_example(examples, size):
    rest = examples % size
    expected = {0: size, 1: size + 1}.get(rest, rest)
    assert tail(examples, size) == expected
    assert [b - a for a, b in cuts(examples, size)][:-1] == [size] * ((examples - expected) // size)
    assert small_tail(examples, size) == (expected < size / 4)


@pytest.mark.parametrize(("examples", "size"), CASES)
def test_the_size_named_leaves_no_small_tail_and_is_the_nearest(examples, size):
    near = without_small_tail(examples, size)
    assert not small_tail(examples, near) and len(cuts(examples, near)) > 1
    closer = range(size - abs(near - size) + 1, size + abs(near - size))
    assert all(small_tail(examples, other) or len(cuts(examples, other)) == 1 for other in closer)

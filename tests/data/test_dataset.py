import pytest
import torch

from flatmin.data import Split

SPLIT = Split(torch.linspace(0, 1, 12).reshape(4, 3), torch.tensor([3, 1, 2, 0]))


def test_first_examples_are_views():
    first = SPLIT.first(3)
    assert len(first) == 3
    assert first.inputs.data_ptr() == SPLIT.inputs.data_ptr()
    assert first.targets.tolist() == [3, 1, 2]
    assert len(SPLIT.first(4)) == len(SPLIT) == 4


@pytest.mark.parametrize("n", [0, -1, 5])
def test_first_of_an_impossible_number(n):
    with pytest.raises(ValueError, match=rf"`n` must be from 1 to 4, got {n}"):
        SPLIT.first(n)


def test_to_moves_both_tensors():
    moved = SPLIT.to("meta")
    assert moved.inputs.device.type == moved.targets.device.type == "meta"
    assert SPLIT.inputs.device.type == "cpu"


@pytest.mark.parametrize(
    ("inputs", "targets", "error", "message"),
    [
        (torch.zeros(2, dtype=torch.float64), torch.zeros(2).long(), TypeError, "`inputs` must be float32 or int64"),
        (torch.zeros(2), torch.zeros(2).bool(), TypeError, "`targets` must be float32 or int64, got torch.bool"),
        (torch.zeros(2), torch.zeros(2, 3).long(), ValueError, r"`targets` must have shape \(2,\)"),
        (torch.zeros(2), torch.zeros(3, 1), ValueError, r"`targets` must have shape \(2,\)"),
        (torch.zeros(2), torch.zeros(3).long(), ValueError, r"`targets` must have shape \(2,\)"),
        (torch.zeros(0, 2), torch.zeros(0).long(), ValueError, "at least one example"),
    ],
)
def test_tensors_that_make_no_split(inputs, targets, error, message):
    with pytest.raises(error, match=message):
        Split(inputs, targets)

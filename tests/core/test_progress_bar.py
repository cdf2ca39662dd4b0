"""Bars of long computations: they move, change no number, and are silent without a terminal."""

import io
import sys

import pytest
import torch

import flatmin
from flatmin.core.functions import QuadraticObjective

BOWL = QuadraticObjective([1.0, 4.0], theta=torch.tensor([0.1, 0.2]))
AXES = tuple(torch.eye(2))

LONG = {
    "sharpness": lambda shown: flatmin.epsilon_sharpness(BOWL, progress=shown),
    "effort": lambda shown: flatmin.effort(BOWL, progress=shown),
    "average": lambda shown: flatmin.average_case_sharpness(BOWL, progress=shown),
    "line": lambda shown: flatmin.slice_1d(BOWL, AXES[0], [0.0, 1.0], progress=shown),
    "plane": lambda shown: flatmin.slice_2d(BOWL, AXES, ([0.0, 1.0], [0.0]), progress=shown),
    "path": lambda shown: flatmin.slice_path(BOWL, lambda alpha: AXES[0] * alpha, [0.0, 1.0], progress=shown),
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", LONG)
def test_a_bar_is_shown_in_a_terminal_and_changes_no_number(name, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with_bar = LONG[name](True)
    assert " gone, " in terminal.getvalue() and " left" in terminal.getvalue()
    assert terminal.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h", "\x1b[1A"))
    assert repr(with_bar.to_record()) == repr(LONG[name](False).to_record())


@pytest.mark.parametrize("name", LONG)
def test_without_a_terminal_nothing_is_written(name, capfd):
    LONG[name](True)
    assert capfd.readouterr() == ("", "")


def test_a_measure_takes_no_function_for_its_bar():
    with pytest.raises(TypeError, match="`progress` must be True or False, got function"):
        LONG["sharpness"](lambda index, value: None)

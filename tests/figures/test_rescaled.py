"""Measures against a rescaling: what is invariant is a flat line, and every line is named."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb

from flatmin.core.errors import ResultsError
from flatmin.figures.rescaled import rescaled
from flatmin.figures.style import LINES

AMOUNTS = (0.01, 0.1, 1.0, 10.0, 100.0)


def frame(**values):
    rows = [
        (name, a, v, "layer_rescaling", 1e-16) for name, of in values.items() for a, v in zip(AMOUNTS, of, strict=True)
    ]
    return pd.DataFrame(rows, columns=["measure", "amount", "value", "symmetry", "outputs"])


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def test_lines_are_shares_of_the_value_at_one_and_flat_ones_are_grey():
    ax = rescaled(frame(steep=[800, 8, 4, 8, 800], same=[3] * 5, alike=[7, 7, 7, 7, 7.01]), title="Rescaled")
    assert [*ax.lines[0].get_ydata()] == [200, 2, 1, 2, 200] and [*ax.lines[1].get_ydata()] == [1] * 5
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_title("left")) == ("log", "log", "Rescaled")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["steep: 4", "same: 3, flat", "alike: 7, flat"]
    steep, *flat = (line.get_color() for line in ax.lines)
    assert set(flat) == {"0.6"} and steep not in flat
    assert any("layer rescaling; outputs equal to 1e-16" in text.get_text().replace("\n", " ") for text in ax.texts)


def test_what_has_no_logarithm_is_left_out_and_said():
    ax = rescaled(frame(signed=[-1, 1, 2, float("inf"), 4], costs=[1] * 5))
    assert [*ax.lines[0].get_ydata()][1:3] == [0.5, 1] and sum(map(pd.isna, ax.lines[0].get_ydata())) == 2
    assert any("left out there: signed" in text.get_text().replace("\n", " ") for text in ax.texts)


def test_many_lines_have_their_legend_beside_them():
    ax = rescaled(frame(**{f"measure {k}": [k, k, 1, k, k] for k in range(2, 13)}))
    assert ax.get_legend()._loc == 2 and len(ax.get_legend().get_texts()) == 11
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 11


@pytest.mark.parametrize("amounts", [{1.0: 2.0}, {0.01: -1.0}])
def test_amounts_need_one_to_compare_with(amounts):
    with pytest.raises(ResultsError, match="the amounts of 'it' must be positive and have 1 among them"):
        rescaled(frame(it=[1] * 5).replace({"amount": amounts}))


def test_it_draws_on_an_axis_that_is_given():
    _, ax = pyplot.subplots()
    assert rescaled(frame(it=[1, 2, 3, 4, 5]), ax) is ax


def test_no_two_lines_of_an_axis_are_nearly_of_one_colour():
    colors = [np.array(to_rgb(color)) for color, _ in LINES]
    assert min(np.linalg.norm(one - other) for one, other in combinations(colors, 2)) > 0.2

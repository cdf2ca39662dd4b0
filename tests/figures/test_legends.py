import pytest
from matplotlib.lines import Line2D

from flatmin.figures.legends import legend_columns
from flatmin.figures.style import PAGE_WIDTH, blank, house_style

LABELS = {
    "narrow letters": ["illicit, limit"] * 9,
    "wide letters": ["WWW MMM WWW"] * 9,
    "one long": ["a", "b", "large batch (5,000), the published search of ten iterations", "d"],
    "several long": ["the strong search from several places, train"] * 5,
    "short": ["a", "b", "c", "d", "e"],
    "one": ["a"],
    "blank": [" ", "", "a", " "],
    "formula": [r"$\varepsilon = 10^{-3}$"] * 4,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("width", [PAGE_WIDTH, PAGE_WIDTH / 2])
def test_a_legend_has_as_many_columns_as_the_figure_has_room_for(labels, width):
    def drawn(columns):
        figure = blank(width, 2.0)
        handles = [Line2D([], [], label=label) for label in labels]
        figure.legend(handles=handles, loc="outside upper left", ncols=columns)
        figure.canvas.draw()
        return figure, handles, figure.legends[0].get_window_extent().width / figure.dpi

    with house_style():
        figure, handles, _ = drawn(1)
        columns = legend_columns(figure, handles)
        assert columns == 1 or drawn(columns)[2] <= width
        further = range(columns + 1, min(len(labels), 4) + 1)
        slack = 0.2  # a legend's frame and the space after its last column
        assert all(drawn(more)[2] > width - slack for more in further)

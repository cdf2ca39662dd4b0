"""Each measure against the amount of the rescaling."""

from matplotlib.figure import Figure

from flatmin.core.errors import ResultsError
from flatmin.figures.rescaled import rescaled
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables


@styled
def rescaling(tables: Tables) -> Figure:
    """Draw the lines: flat is what the rescaling cannot fool.

    Raises:
        ResultsError: If there is nothing to draw.
    """
    rows = tables.frames["rescaling"]
    if rows.empty:
        raise ResultsError("the table `rescaling` is empty, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH, 3.8)
    rescaled(rows, figure.subplots())
    return figure

"""Each measure against the amount of the rescaling."""

from matplotlib.figure import Figure

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.rescaled import rescaled
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES

HOW = {
    "layer_rescaling": "The weights of one layer are multiplied by a, those of the next divided by it",
    "node_rescaling": "What goes into each unit is multiplied by a number of its own, up to a, what leaves it divided",
}


@styled
def rescaling(tables: Tables) -> Figure:
    """Draw the lines: flat is what the rescaling cannot fool.

    Raises:
        ResultsError: If there is nothing to draw.
    """
    rows = tables.frames["rescaling"]
    if rows.empty:
        raise ResultsError("the table `rescaling` is empty, so there is nothing to draw.")
    asked = tables.provenance["experiment"]
    name = asked["data"]["name"]
    figure = blank(PAGE_WIDTH, 3.8)
    rescaled(rows, figure.subplots())
    write_footer(
        figure,
        [
            f"ReLU network, two hidden layers {asked['width']} wide, seed {asked['seed']}, "
            f"on {DATA_NAMES.get(name, name)}",
            HOW[asked["symmetry"]],
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure

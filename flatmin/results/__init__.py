"""Results on disk: records of single pieces of work and the tidy tables that the figures read."""

from flatmin.results.latex import to_latex
from flatmin.results.markdown import to_markdown
from flatmin.results.naming import identity
from flatmin.results.record import Record
from flatmin.results.schema import COLUMNS, columns
from flatmin.results.statistics import of_minima, ratios, summary
from flatmin.results.store import Store
from flatmin.results.tables import Tables

__all__ = [
    "COLUMNS",
    "Record",
    "Store",
    "Tables",
    "columns",
    "identity",
    "of_minima",
    "ratios",
    "summary",
    "to_latex",
    "to_markdown",
]

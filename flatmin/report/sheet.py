"""A table ready to print, in LaTeX or in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from flatmin.results import to_latex, to_markdown


@dataclass(frozen=True, eq=False)
class Sheet:
    """Text in rows and columns with what stands above and below.

    Attributes:
        name: Of its file; its LaTeX label is ``tab:`` and this.
        caption: Plain text.
        frame: The cells as text.
        notes: Plain text below, a paragraph each.
        sides: Alignment of the columns as LaTeX has it.
        long: Over several pages.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    sides: str = ""
    long: bool = False

    @property
    def latex(self) -> str:
        """The table as LaTeX."""
        return to_latex(
            self.frame, self.caption, label=f"tab:{self.name}", notes=self.notes, sides=self.sides, long=self.long
        )

    @property
    def markdown(self) -> str:
        """The table as Markdown."""
        return to_markdown(self.frame, self.caption, notes=self.notes)

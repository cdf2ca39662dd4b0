"""A frame as a Markdown table."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd


def to_markdown(frame: pd.DataFrame, caption: str, *, notes: Sequence[str] = ()) -> str:
    r"""A table of GitHub's Markdown below its caption; text is escaped, missing numbers become a dash.

    Args:
        frame: What to print, without its index, floats to four significant digits. Columns with numbers go right, but
            for the first; text with nothing but empty text to its right is set bold. Columns of two levels get one name
            of both.
        caption: Plain text, a paragraph above the table.
        notes: Plain text below the table, a paragraph each.

    Example:
        >>> print(to_markdown(pd.DataFrame({"regime": ["small|batch"], "ratio": [2.5]}), "Ratios"))
        Ratios
        <BLANKLINE>
        | regime | ratio |
        | :--- | ---: |
        | small\|batch | 2.5 |
        <BLANKLINE>
    """
    cells = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    levels = [frame.columns.get_level_values(level) for level in range(frame.columns.nlevels)]
    names = [", ".join(part for part in parts if part) for parts in zip(*levels, strict=True)]
    sides = [":---", *("---:" if any(map(_numeric, column)) else ":---" for column in [*zip(*cells, strict=True)][1:])]
    spans = [len(row) > 1 and row[0] != "" and not any(row[1:]) for row in cells]
    body = [[f"**{row[0]}**", *row[1:]] if span else row for span, row in zip(spans, cells, strict=True)]
    lines = [_line(map(escaped, names)), _line(sides), *map(_line, body)]
    below = [f"\n{escaped(note)}" for note in notes]
    return "\n".join([escaped(caption), "", *lines, *below]) + "\n"


def escaped(text: str) -> str:
    r"""Plain text as Markdown, its numbers with minus signs and a space before per cent.

    Example:
        >>> print(escaped("a * b | 1 < 2, from -0.5 to 3e-08, 20%"))
        a \* b \| 1 \< 2, from −0.5 to 3e-08, 20 %
    """
    text = re.sub(r"(?<![\w)-])-(?=[\d∞])", "−", re.sub(r"(?<=\d)%", " %", text))
    return re.sub(r"([\\|*~<`])", r"\\\1", " ".join(text.split()))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _numeric(cell: str) -> bool:
    return bool(re.match(r"[-−+]?(\d|∞)", cell))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else escaped(f"{value:.4g}".replace("inf", "∞"))
    return "–" if pd.isna(value) else escaped(str(value))

"""A frame as a LaTeX table."""

import math
from typing import Any

import pandas as pd

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"±": r"$\pm$", "×": r"$\times$", "∞": r"$\infty$", "ε": r"$\varepsilon$", "–": "--"},
    }
)


def to_latex(frame: pd.DataFrame, caption: str, *, digits: int = 4) -> str:
    r"""A floating table with booktabs rules; text is escaped, missing numbers become a dash.

    Args:
        frame: What to print, without its index. Numbers go right, text left; two leading spaces indent a text, and
            text with nothing but empty text to its right spans the table.
        caption: Plain text, escaped too.
        digits: Significant digits of the floats.

    Returns:
        LaTeX that needs ``\usepackage{booktabs}``.

    Example:
        >>> print(to_latex(pd.DataFrame({"regime": ["small_batch"], "ratio": [2.5]}), "Ratios"))
        \begin{table}
        \centering
        \small
        \caption{Ratios}
        \begin{tabular}{lr}
        \toprule
        regime & ratio \\
        \midrule
        small\_batch & 2.5 \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    sides = "".join("r" if pd.api.types.is_numeric_dtype(frame[column]) else "l" for column in frame)
    rows = [_row([_cell(value, digits) for value in row]) for row in frame.itertuples(index=False)]
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\small",
        rf"\caption{{{_cell(caption, digits)}}}",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        " & ".join(_cell(str(column), digits) for column in frame) + r" \\",
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    if len(cells) > 1 and not any(cells[1:]):
        return rf"\multicolumn{{{len(cells)}}}{{l}}{{{cells[0]}}}"
    return " & ".join(cells)


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return _number(value, digits)
    if pd.isna(value):
        return "--"
    text = str(value).translate(_ESCAPES).replace("\n", " ")
    return rf"\quad {text.lstrip()}" if text.startswith("  ") else text


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "--"
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    if exponent:
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    return f"${mantissa}$" if value < 0 else mantissa

"""A frame as a LaTeX table."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"±": r"$\pm$", "×": r"$\times$", "∞": r"$\infty$", "ε": r"$\varepsilon$", "–": "--", "†": r"$\dagger$"},
        **{"φ": r"$\varphi$", "≥": r"$\geq$", "≤": r"$\leq$", "−": "$-$", "<": "$<$", ">": "$>$", "…": r"\dots{}"},
        **{raised: rf"\textsuperscript{{{digit}}}" for digit, raised in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)


def to_latex(
    frame: pd.DataFrame,
    caption: str,
    *,
    digits: int = 4,
    label: str = "",
    notes: Sequence[str] = (),
    sides: str = "",
    long: bool = False,
) -> str:
    r"""A floating table with booktabs rules; text is escaped, missing numbers become a dash.

    Args:
        frame: What to print, without its index. Numbers go right, text left; two leading spaces indent a text, and
            text with nothing but empty text to its right spans the table. Columns of two levels get a heading over
            each group.
        caption: Plain text, escaped too.
        digits: Significant digits of the floats.
        label: For ``\ref``; empty for none.
        notes: Plain text below the table, a paragraph each.
        sides: Alignment of the columns as LaTeX has it, such as ``lrr``; by default that of the types. A table that
            gives it is set closer, with space before text that spans it.
        long: Over several pages instead of floating, which needs ``\usepackage{longtable}``.

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
    size = [r"\small", *([r"\setlength{\tabcolsep}{4pt}"] if sides else [])]
    cells = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False)]
    body = _body(cells, spaced=bool(sides))
    sides = sides or "".join("r" if pd.api.types.is_numeric_dtype(frame[column]) else "l" for column in frame)
    title = [rf"\caption{{{escaped(caption)}}}", *([rf"\label{{{label}}}"] if label else [])]
    head = [r"\toprule", *_head(frame.columns), r"\midrule"]
    if long:
        title[-1] += r" \\"
        heads = [*title, *head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
        opening = [r"\begingroup", *size, r"\setlength{\LTcapwidth}{\linewidth}", rf"\begin{{longtable}}{{{sides}}}"]
        lines = [*opening, *heads, *body, r"\end{longtable}", *_below(notes), r"\endgroup"]
    else:
        opening = [r"\begin{table}", r"\centering", *size, *title, rf"\begin{{tabular}}{{{sides}}}"]
        lines = [*opening, *head, *body, r"\bottomrule", r"\end{tabular}", *_below(notes), r"\end{table}"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Plain text as LaTeX.

    Example:
        >>> print(escaped("5 % ± 1"))
        5 \% $\pm$ 1
    """
    return text.translate(_ESCAPES).replace("\n", " ")


def _head(columns: "pd.Index[Any]") -> list[str]:
    """The names of the columns; of two levels, the upper one spans its group with a rule below."""
    if columns.nlevels == 1:
        return [" & ".join(_cell(str(column), 0) for column in columns) + r" \\"]
    groups, rules, place = [], [], 1
    for name, members in groupby(columns, key=lambda column: column[0]):
        width = len(list(members))
        groups.append(rf"\multicolumn{{{width}}}{{c}}{{{_cell(name, 0)}}}" if name else "&" * (width - 1))
        rules += [rf"\cmidrule(lr){{{place}-{place + width - 1}}}"] if name else []
        place += width
    return [" & ".join(groups) + r" \\", "".join(rules), *_head(columns.get_level_values(1))]


def _below(notes: Sequence[str]) -> list[str]:
    """Small text of the table's own width."""
    if not notes:
        return []
    text = r" \par ".join(_cell(note, 0) for note in notes)
    return [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\footnotesize {text}}}"]


def _body(rows: list[list[str]], *, spaced: bool) -> list[str]:
    """The rows; text that spans a spaced table stays with the row below and, if not indented, has space above."""
    lines: list[str] = []
    for cells in rows:
        spans = len(cells) > 1 and not any(cells[1:])
        if spans and spaced and lines and not cells[0].startswith(r"\quad"):
            lines.append(r"\addlinespace")
        text = rf"\multicolumn{{{len(cells)}}}{{l}}{{{cells[0]}}}" if spans else " & ".join(cells)
        lines.append(text + (r" \\*" if spans and spaced else r" \\"))
    return lines


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return _number(value, digits)
    if pd.isna(value):
        return "--"
    text = escaped(str(value))
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

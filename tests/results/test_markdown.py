"""Tables as Markdown, read back by their own grammar."""

import math
import re

import pandas as pd

from flatmin.results import to_markdown


def read(text: str) -> tuple[str, list[list[str]], str]:
    """Caption, cells (header, alignment, rows) and notes of a Markdown table."""
    caption, table, *notes = text.strip().split("\n\n")
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return caption, [[cell.strip().replace("\\", "") for cell in line] for line in cells], "\n\n".join(notes)


def test_every_line_has_the_same_cells_whatever_stands_in_them():
    frame = pd.DataFrame({"a|b": ["x|y", None], "n": [1e-9, math.inf], "m": [-math.nan, -2.5]})
    caption, (header, _, *rows), notes = read(to_markdown(frame, "50 % | of it", notes=["one", "two"]))
    assert header == ["a|b", "n", "m"]
    assert rows == [["x|y", "1e-09", "–"], ["–", "∞", "−2.5"]]
    assert caption == r"50 % \| of it"
    assert notes == "one\n\ntwo"


def test_numbers_go_right_and_words_left():
    frame = pd.DataFrame([["2 seeds", "not run", "yes"], ["1 seed", "3.1 ± 0.2", "no"]], columns=["", "phi", "said"])
    assert read(to_markdown(frame, "c"))[1][1] == [":---", "---:", ":---"]


def test_two_levels_of_columns_become_one_and_a_spanning_line_is_bold():
    columns = pd.MultiIndex.from_tuples([("", ""), ("train", "small"), ("train", "large")])
    lines = read(to_markdown(pd.DataFrame([["F1", "", ""], ["  ours", "1", ""]], columns=columns), "c"))[1]
    assert lines[0] == ["", "train, small", "train, large"]
    assert lines[2:] == [["**F1**", "", ""], ["ours", "1", ""]]

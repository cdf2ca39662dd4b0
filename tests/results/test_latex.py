import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from flatmin.results import to_latex


def row(value: object) -> str:
    return to_latex(pd.DataFrame({"x": [value]}), "").splitlines()[8]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.85, "0.85"),
        (1.23456, "1.235"),
        (np.float32(0.5), "0.5"),
        (1e-7, r"$1 \times 10^{-7}$"),
        (-2.5, "$-2.5$"),
        (math.nan, "--"),
        (None, "--"),
        (math.inf, r"$\infty$"),
        (-math.inf, r"$-\infty$"),
        (3, "3"),
        (True, "True"),
        ("small_batch", r"small\_batch"),
        ("10 % & $5 #1 {a} ~^", r"10 \% \& \$5 \#1 \{a\} \textasciitilde{}\textasciicircum{}"),
        ("a\\b", r"a\textbackslash{}b"),
    ],
)
def test_cell(value, written):
    assert row(value) == rf"{written} \\"


def test_caption_and_header_are_escaped_and_columns_aligned():
    text = to_latex(pd.DataFrame({"batch_norm": ["running"], "n": [1]}), "100 % of it")
    assert r"\caption{100 \% of it}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"batch\_norm & n \\" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this system")
def test_latex_compiles(tmp_path):
    frame = pd.DataFrame({"a_b": ["&%$#_{}~^\\", None], "x": [1e-9, math.inf]})
    body = to_latex(frame, "50 %")
    source = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "table.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

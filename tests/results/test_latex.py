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


def test_groups_of_columns_have_a_heading_and_a_rule():
    columns = pd.MultiIndex.from_tuples([("", "network"), ("train", "SB"), ("train", "LB"), ("test", "SB")])
    text = to_latex(pd.DataFrame([["F1", 1, 2, 3]], columns=columns), "", sides="lrrr")
    assert r" & \multicolumn{2}{c}{train} & \multicolumn{1}{c}{test} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}" in text
    assert r"network & SB & LB & SB \\" in text


def test_label_and_notes():
    text = to_latex(pd.DataFrame({"x": ["a¹²"]}), "", label="tab:x", notes=["¹² 5 % of it.", "More."])
    assert r"\label{tab:x}" in text
    assert r"a\textsuperscript{1}\textsuperscript{2} \\" in text
    assert r"\footnotesize \textsuperscript{1}\textsuperscript{2} 5 \% of it. \par More.}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this system")
def test_grouped_table_with_notes_compiles(tmp_path):
    columns = pd.MultiIndex.from_tuples([("", ""), ("φ, ε = 10³", "≥ 1"), ("φ", "< 2 …")])
    body = to_latex(pd.DataFrame([["  a − b", "", "1 > 0"]], columns=columns), "", label="t", notes=["¹ a", "² b"])
    source = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "table.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

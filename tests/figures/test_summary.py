"""The summary as text: values by hand, width in the terminal, shape in LaTeX."""

import math

import pandas as pd
import pytest
from rich.console import Console

from flatmin.core.errors import ResultsError
from flatmin.results import Tables, to_latex
from flatmin.results.summary_text import latex_frame, plus_minus, summary_table, terminal_tables
from flatmin.results.words import significant


def printed(frame: pd.DataFrame, width: int) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(*terminal_tables(frame), sep="")
    return capture.get().splitlines()


def test_rows_hold_means_deviations_and_ratios(tables):
    frame = summary_table(tables)
    assert len(frame) == 2 + 2 * 2 * 2 * 2
    accuracy = 100 * tables.minima.groupby("regime")["test_accuracy"].agg(["mean", "std"])
    first = frame.iloc[0]
    assert (first["quantity"], first["setting"], first["ratio"], first["seeds"]) == ("test accuracy (%)", "", "–", "3")
    mean, std = accuracy.loc["small_batch"]
    assert first["small batch"] == f"{mean:.2f} ± {std:.2f}"
    rows = tables.sharpness
    rows = rows[(rows["space"] == "full") & (rows["epsilon"] == 1e-3) & (rows["method"] == "strong")]
    wide = rows[rows["batch_norm"] == "batch"].pivot(index="seed", columns="regime", values="sharpness")
    each = wide["large_batch"] / wide["small_batch"]
    ratio = wide["large_batch"].mean() / wide["small_batch"].mean()
    place = ("sharpness (%), full space, ε 0.001", "strong, batch stats")
    found = frame.set_index(["quantity", "setting"]).loc[place]
    assert found["ratio"] == f"{ratio:.1f} [{each.min():.1f}, {each.max():.1f}]"
    assert {setting.partition(",")[0] for setting in frame["setting"]} == {"", "published", "strong"}


@pytest.mark.parametrize("width", [80, 100])
def test_terminal_shows_every_row_whole(make, width):
    frame = summary_table(make(readings=("running", "batch", "reestimate"), grid=3))
    lines = printed(frame, width)
    assert max(map(len, lines)) <= width
    assert lines[0].rstrip() == "F1 on digits (8×8), 3 seeds"
    for row in frame.itertuples():
        assert any(all(cell in line for cell in (row.setting, row[5], row[6], row.ratio)) for line in lines), row
    assert len(lines) <= len(frame) + 14
    assert not any("…" in line for line in lines)


def test_uneven_seeds_get_a_column(tables):
    minima = tables.minima[~((tables.minima["regime"] == "large_batch") & (tables.minima["seed"] == 2))]
    frame = summary_table(Tables(minima=minima, sharpness=tables.sharpness))
    assert frame["seeds"].iloc[0] == "3, 2"
    assert printed(frame, 100)[2].split()[-1] == "seeds"


def test_one_seed_and_one_regime_have_no_spread_and_no_ratio(make):
    tables = make(seeds=(0,), readings=("batch",), grid=3)
    frame = summary_table(tables)
    assert not frame["small batch"].str.contains("±").any()
    assert not frame["ratio"].str.contains(r"\[").any()
    assert printed(frame, 80)[0].rstrip().endswith("1 seed")
    alone = Tables(sharpness=tables.sharpness[tables.sharpness["regime"] == "large_batch"])
    assert set(summary_table(alone)["ratio"]) == set(summary_table(alone)["small batch"]) == {"–"}


def test_networks_stay_together(make):
    both = Tables.concat([make(seeds=(0,), grid=3), make(network="C1", data="cifar10", seeds=(0,), grid=3)])
    frame = summary_table(both)
    assert list(dict.fromkeys(frame["network"])) == ["F1", "C1"]
    assert frame["network"].ne(frame["network"].shift()).sum() == 2
    assert [table.title for table in terminal_tables(frame)] == ["F1 on digits (8×8), 1 seed", "C1 on CIFAR-10, 1 seed"]


def test_nothing_to_summarise_is_a_results_error():
    with pytest.raises(ResultsError, match="nothing to summarise: the tables `minima` and `sharpness` are empty"):
        summary_table(Tables())


def test_latex_has_one_line_per_row_and_as_many_cells(tables):
    frame = summary_table(tables)
    text = to_latex(latex_frame(frame), "Caption")
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(frame) + 1 + 4
    assert all(line.count("&") == 4 or line.startswith(r"\multicolumn{5}{l}{") for line in body)
    assert all(line.endswith(r"\\") for line in body)
    assert r"\quad strong, batch stats & " in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.0, 0.0, "0 ± 0"),
        (0.0, math.nan, "0"),
        (1.5, 0.0, "1.50 ± 0.00"),
        (1234.5, 700.0, "1,234 ± 700"),
        (0.01, 5.0, "0.0 ± 5.0"),
        (2e-9, 1e-9, "2.00e-09 ± 1.0e-09"),
        (math.inf, math.nan, "∞"),
        (math.nan, math.nan, "–"),
    ],
)
def test_plus_minus(mean, std, text):
    assert plus_minus(mean, std) == text


@pytest.mark.parametrize(
    ("value", "text"), [(9.999, "10.0"), (-0.5, "-0.500"), (-math.inf, "–∞"), (math.nan, "–"), (12345678.0, "1.23e+07")]
)
def test_significant(value, text):
    assert significant(value) == text

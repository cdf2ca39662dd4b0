"""The files of a whole experiment: triples, bytes, and what is left out."""

import logging

import pandas as pd
import pytest
from matplotlib import rc_context

from flatmin.cli.figures import figures
from flatmin.core.errors import ResultsError
from flatmin.figures import render, sharpness_figure
from flatmin.figures.interactive import available
from flatmin.figures.render import FAMILIES, contents, figures_of, image
from flatmin.results import Tables
from flatmin.results.formats import from_csv

NAMES = [
    "path_curved_F1_digits_running",
    "path_linear_F1_digits_running",
    "random_line_F1_digits_running",
    "random_plane_F1_digits_running_seed0_train",
    "random_surface_F1_digits_running_seed0_train",
    "sharpness_F1_digits",
    "three_point_plane_F1_digits_running_seed0_train",
    "training_curves_F1_digits",
]


@pytest.fixture(scope="module")
def single(make) -> Tables:
    return make(readings=("running",), grid=7)


@pytest.fixture(scope="module")
def rendered(single, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return folder, render(single, folder)


def test_every_figure_is_a_pdf_a_png_and_its_numbers(rendered):
    folder, written = rendered
    assert {path.name for path in written} == {path.name for path in folder.iterdir()}
    for name in NAMES:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    triples = {f"{name}.{kind}" for name in NAMES for kind in ("csv", "pdf", "png")}
    pages = {f"{name}.html" for name in NAMES if name.startswith("random_surface")} if available() else set()
    assert {path.name for path in written} == triples | pages | {"summary.csv", "ratios.csv", "summary.tex"}


def test_csv_holds_the_plotted_rows_exactly(rendered, single):
    folder, _ = rendered
    for family in FAMILIES:
        for keys, rows in figures_of(family, single):
            name = next(name for name in NAMES if name.startswith(f"{family.name}_"))
            found = from_csv((folder / f"{name}.csv").read_bytes())
            pd.testing.assert_frame_equal(found, rows.reset_index(drop=True), check_exact=True, check_dtype=False)
            assert keys["network"] == "F1"


def test_equal_tables_give_equal_bytes(rendered, single):
    folder, _ = rendered
    again = Tables(planes=single.planes[single.planes["kind"] == "random"], sharpness=single.sharpness)
    bare = Tables(**again.frames | {"minima": single.minima}, provenance=single.provenance)
    found = list(contents(bare))
    assert len(found) == 4
    for files in found:
        for name, content in files.items():
            assert content == (folder / name).read_bytes(), name


def test_what_cannot_be_drawn_is_skipped_with_its_reason(single, caplog):
    tables = Tables(planes=single.planes.assign(loss=float("inf")), points=single.points)
    with caplog.at_level(logging.INFO, "flatmin.figures.render"):
        assert list(contents(tables)) == []
    text = caplog.text
    assert "skipped random_plane_F1_digits_running_seed0_train: none of the 98 loss values is finite" in text
    assert "skipped training_curves: the table `curves` has no such rows." in text
    assert "skipped summary: nothing to summarise" in text


def test_empty_tables_are_a_results_error(tmp_path):
    with pytest.raises(ResultsError, match="nothing to draw: every table is empty; run the experiment first"):
        render(Tables(), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_unwritable_folder_is_a_results_error(single, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"not a directory writing .*file.figures; nothing was changed"):
        render(Tables(curves=single.curves), tmp_path / "file" / "figures")


def test_settings_of_a_user_do_not_reach_the_figure(single):
    plain = image(sharpness_figure(single, network="F1", data="digits"), "png")
    with rc_context({"axes.facecolor": "black", "font.size": 20, "lines.linewidth": 9, "savefig.facecolor": "red"}):
        assert image(sharpness_figure(single, network="F1", data="digits"), "png") == plain


def test_command_prints_summary_and_verdict(single, tmp_path, capsys):
    Tables(minima=single.minima, sharpness=single.sharpness).write(tmp_path / "tables")
    figures(tmp_path)
    words = " ".join(capsys.readouterr().out.split())
    assert "F1 on digits (8×8), 3 seeds" in words
    assert "F1 on digits (8×8): the large-batch minimum is sharper, " in words
    assert "1 figure, 6 files in" in words
    assert (tmp_path / "figures" / "sharpness_F1_digits.pdf").is_file()

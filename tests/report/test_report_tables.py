import math
import shutil
import subprocess

import pytest

from flatmin.report.cells import Cell, tidy
from flatmin.report.effort import EFFORT, each_climb
from flatmin.report.layout import not_run_sheet, sheet
from flatmin.report.published import LARGE, NETWORKS, SMALL
from flatmin.report.tables import MAIN_TABLES, REMEDY_TABLES

TABLES = {table.name: table for table in (*MAIN_TABLES, *REMEDY_TABLES, EFFORT)}
SUBSPACE = {"space": "random", "subspace_dim": 100}


def latex(table, studies):
    return sheet(table, studies).latex


def row(text: str, start: str) -> str:
    """The cells of the line of a LaTeX table that begins so."""
    return next(line for line in text.splitlines() if line.removeprefix(r"\quad ").startswith(start))


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_networks_without_a_study_are_left_to_the_table_of_what_was_not_run(table):
    text = latex(table, [])
    assert text.count("not run") == 1
    assert not any(f"{network}, " in text for network in table.networks)
    absent = not_run_sheet([(table, [])]).frame
    assert absent.to_numpy().tolist() == [[table.title, ", ".join(table.networks)]]
    frame = tidy(table, [])
    assert set(frame["network"]) == set(table.networks)
    assert frame["mean"].isna().all()


def test_accuracy_by_hand(study, both):
    minima = both("test_accuracy", [0.80, 0.82], [0.70, 0.71], train_accuracy=1.0)
    text = latex(TABLES["accuracy"], [study(minima=minima)])
    assert row(text, "Keskar et al.").endswith(
        r"99.66 $\pm$ 0.05 & 99.92 $\pm$ 0.01 & 98.03 $\pm$ 0.07 & 97.81 $\pm$ 0.07 \\"
    )
    numbers = r"100.00 $\pm$ 0.00 & 100.00 $\pm$ 0.00 & 81.00 $\pm$ 1.41 & 70.50 $\pm$ 0.71 \\"
    assert row(text, "batch statistics").endswith(numbers)


def test_accuracy_has_a_row_for_each_reading_of_batch_norm(study, both):
    minima = both(
        "running_test_accuracy", [0.60], [0.50], test_accuracy=0.7, train_accuracy=0.99, running_train_accuracy=0.9
    )
    text = latex(TABLES["accuracy"], [study(minima=minima)])
    assert row(text, "batch statistics").endswith(r"& 99.00 & 99.00 & 70.00 & 70.00 \\")
    assert row(text, "running averages").endswith(r"& 90.00 & 90.00 & 60.00 & 50.00 \\")


def test_reading_that_was_not_recorded_has_no_row(study, both):
    minima = both("test_accuracy", [0.8], [0.7], running_test_accuracy=math.nan, running_train_accuracy=math.nan)
    assert "running averages &" not in latex(TABLES["accuracy"], [study(minima=minima)])


def test_one_seed_has_no_deviation(study, both):
    text = latex(TABLES["accuracy"], [study(minima=both("test_accuracy", [0.80], [0.70]))])
    assert row(text, "batch statistics").endswith(r"& 80.00 & 70.00 \\")


def test_diverged_networks_are_said(study):
    minima = [
        {"regime": SMALL, "seed": 0, "test_accuracy": 0.8},
        {"regime": LARGE, "seed": 0, "status": "diverged", "test_accuracy": math.nan},
    ]
    assert row(latex(TABLES["accuracy"], [study(minima=minima)]), "batch statistics").endswith(r"80.00 & diverged \\")


def test_ratio_is_that_of_the_means(study, both):
    own = study(
        minima=both("test_accuracy", [0.8, 0.8], [0.7, 0.7]), sharpness=both("sharpness", [1.0, 3.0], [10.0, 30.0])
    )
    text = latex(TABLES["sharpness"], [own])
    line = row(text, "100 epochs, 2 seeds")
    assert r"2.0 $\pm$ 1.4 & 20 $\pm$ 14 & 10.0" in line
    assert line.endswith(r"& not run & not run & not run \\")


@pytest.mark.parametrize(("small", "large"), [(0.0, 3.0), (math.inf, 3.0), (1.0, math.inf)])
def test_zeros_and_infinities_have_no_ratio(small, large):
    ratio = Cell.ratio(Cell(large, math.nan, (0,)), Cell(small, math.nan, (0,)))
    assert math.isnan(ratio.mean)


def test_a_row_says_that_it_rests_on_fewer_seeds_or_another_search(study, both):
    own = study(
        minima=both("test_accuracy", [0.8] * 3, [0.7] * 3),
        sharpness=both("sharpness", [1.0], [9.0], method="paper"),
    )
    line = row(latex(TABLES["sharpness"], [own]), "100 epochs")
    assert line.startswith(
        r"\quad 100 epochs, 3 seeds, published search, batch statistics, 1 of them\textsuperscript{1} & 1.00 & 9.00"
    )


def test_the_four_readings_stand_below_their_study(complete):
    text = latex(TABLES["readings"], [complete()])
    for search in ("strong", "published"):
        for reading in ("batch statistics", "running averages"):
            assert row(text, f"{search} search, {reading}").count("&") == 6
    assert r"\multicolumn{7}{l}{\quad 100 epochs, 4 seeds:}" in text


def test_distributions_are_compared_only_where_there_are_several(study, both):
    rows = both("sharpness", [1.0], [9.0], distribution="normal", **SUBSPACE)
    minima = both("test_accuracy", [0.8], [0.7])
    assert "normal A" not in latex(TABLES["distributions"], [study(minima=minima, sharpness=rows)])
    rows += both("sharpness", [2.0], [4.0], distribution="uniform", **SUBSPACE)
    text = latex(TABLES["distributions"], [study(minima=minima, sharpness=rows)])
    assert "& 1.00 & 9.00 & 9.00" in row(text, "normal A")
    assert "& 2.00 & 4.00 & 2.00" in row(text, "uniform A")
    assert "& 1.00 & 9.00 & 9.00" in row(latex(TABLES["subspace"], [study(minima=minima, sharpness=rows)]), "100")


def test_reductions_stand_below_the_table_they_concern(study, both):
    reduced = (
        {"text": "Sharpness on the first 5 of 60 training examples", "concerns": "sharpness"},
        {"text": "Trained for 30 epochs, not 100", "concerns": "everything"},
        "Planes on less",
    )
    phi = both("sharpness", [1.0], [9.0])
    own = study(minima=both("test_accuracy", [0.8], [0.7]), sharpness=phi, reduced=reduced)
    accuracy, sharpness = (latex(TABLES[name], [own]) for name in ("accuracy", "sharpness"))
    assert r"\textsuperscript{1} Trained for 30 epochs, not 100." in accuracy
    assert "Sharpness on the first" not in accuracy
    assert "Sharpness on the first 5 of 60 training examples. Trained for 30 epochs" in sharpness
    assert "Planes" not in sharpness


def test_remedies_by_hand(study, both):
    minima = both("test_accuracy", [0.80], [0.75], train_accuracy=1.0)
    named = {"conservative": 0.78, "adversarial": 0.74, "small_batch_augmented": 0.83, "large_batch_augmented": 0.82}
    minima += [
        {"regime": regime, "seed": 0, "test_accuracy": value, "train_accuracy": 0.9} for regime, value in named.items()
    ]
    phi = [{"regime": regime, "seed": 0, "sharpness": 100 * value} for regime, value in named.items()]
    own = study("remedies_c1", "C1", "cifar10", minima=minima, sharpness=phi)
    assert "80.00 & 75.00 & 83.00 & 82.00 & 82.0 & not run" in row(
        latex(TABLES["augmentation"], [own]), "batch statistics"
    )
    assert "80.00 & 75.00 & 78.00 & 78.0 & not run" in row(latex(TABLES["conservative"], [own]), "batch statistics")
    text = latex(TABLES["robust"], [own])
    assert "90.00 & 74.00 & 74.0 & not run" in row(text, "adversarial")
    assert "100.00 & 75.00 & not run & not run" in row(text, "large batch")
    assert "stability" not in text.split(r"\midrule")[1]


def test_effort_is_the_highest_that_a_climb_found(study, both):
    rows = []
    for evaluations, value in ((1, 1.0), (5, 7.0)):
        found = {"climber": "lbfgsb", "start": "centre", "evaluations": evaluations}
        rows += both("sharpness", [value], [10 * value], **found)
    rows += both("sharpness", [9.0], [9.0], climber="corner_steps", start="sign", evaluations=3)
    text = latex(TABLES["effort"], [study(minima=both("test_accuracy", [0.8], [0.7]), effort=rows)])
    assert "& 7.00 & 70.0 & 10.0 & not run" in row(text, "L-BFGS-B from the centre")
    assert "& 9.00 & 9.00 & 1.00 & not run" in row(text, "corner steps from halfway to the gradient's corner")


def test_climbs_stand_in_one_order_however_they_were_run(study, both):
    ways = [(climber, start) for climber in ("lbfgsb", "corner_steps", "own") for start in ("centre", "sign", "random")]
    shown = []
    for order in (ways, ways[::-1]):
        rows = [
            row for climber, start in order for row in both("sharpness", [1.0], [2.0], climber=climber, start=start)
        ]
        own = study(effort=[row | {"evaluations": 1} for row in rows])
        shown.append([row.label for row in each_climb(own)])
    known = [label for label in shown[0] if not label.startswith("own")]
    assert known == shown[1][: len(known)] and sorted(shown[0]) == sorted(shown[1])
    assert known[0] == "L-BFGS-B from the centre"


def test_value_on_a_subset_has_its_standard_error_in_a_note(study, both):
    rows = both("sharpness", [1.0, 3.0], [10.0, 30.0], standard_error=0.5, examples=500)
    rows += both("sharpness", [0.5, 0.5], [4.0, 4.0], standard_error=0.2, examples=500, epsilon=5e-4)
    own = study(minima=both("test_accuracy", [0.8] * 2, [0.7] * 2), sharpness=rows)
    note = "Standard error over the 500 examples searched on (%): small 0.50 at ε = 0.001; large 0.50 at ε = 0.001; "
    assert sheet(TABLES["sharpness"], [own]).notes == [f"¹ {note}small 0.20 at ε = 0.0005; large 0.20 at ε = 0.0005."]
    rows += both("sharpness", [1.0, 3.0], [10.0, 30.0], standard_error=0.5, examples=500, method="paper")
    own = study(minima=both("test_accuracy", [0.8] * 2, [0.7] * 2), sharpness=rows)
    assert sheet(TABLES["readings"], [own]).notes == [
        "¹ Standard error over the 500 examples searched on: 2.5 to 40 % of the value."
    ]


def test_value_on_all_examples_has_no_standard_error(study, both):
    own = study(minima=both("test_accuracy", [0.8], [0.7]), sharpness=both("sharpness", [1.0], [9.0]))
    assert sheet(TABLES["sharpness"], [own]).notes == []


def test_less_than_in_a_smaller_box_is_marked_with_its_ratio(study, both):
    rows = both("sharpness", [1.0, 1.0], [10.0, 600.0]) + both("sharpness", [0.5, 0.5], [50.0, 50.0], epsilon=5e-4)
    own = study(minima=both("test_accuracy", [0.8] * 2, [0.7] * 2), sharpness=rows)
    ready = sheet(TABLES["sharpness"], [own])
    assert [cell.endswith("†") for cell in ready.frame.iloc[-1]][1:] == [False, True, True, False, False, False]
    assert ready.notes == ["† In one seed or more less than in a smaller box: not a maximum."]
    assert r"$\dagger$" in ready.latex


def test_boxes_of_other_searches_do_not_count_as_smaller(study, both):
    rows = both("sharpness", [1.0], [9.0]) + both("sharpness", [5.0], [50.0], epsilon=5e-4, method="paper")
    own = study(minima=both("test_accuracy", [0.8], [0.7]), sharpness=rows)
    assert sheet(TABLES["readings"], [own]).notes == []


def test_every_cell_is_traceable(complete):
    frame = tidy(TABLES["sharpness"], [complete()])
    mine = frame[(frame["network"] == "F1") & (frame["column"] == "large")].iloc[0]
    expected = {"study": "keskar_f1", "seeds": "0 1 2 3", "count": 4, "epochs": "100 epochs", "method": "strong"}
    assert {name: mine[name] for name in expected} == expected
    assert (mine["commits"], mine["paper_mean"], mine["paper_std"]) == ("abc123", 205.14, 69.52)
    assert set(frame["network"]) == set(NETWORKS)


def test_tables_not_about_sharpness_have_no_reading(complete):
    frame = tidy(TABLES["accuracy"], [complete()])
    assert frame[["method", "batch_norm", "distribution"]].isna().all().all()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this system")
def test_every_table_compiles_within_the_page(complete, tmp_path):
    from flatmin.report.build import report_contents
    from flatmin.report.claims import judge

    text = complete("C1", "cifar10", name="keskar_c1_text", variant="paper")
    studies = [complete(), complete("C1", "cifar10"), text, complete("C3", "cifar100", seeds=1)]
    files = {name: text for part in report_contents(studies, judge(studies), {}, {}) for name, text in part.items()}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    tables = "".join(
        rf"\input{{{name}}}\clearpage " for name in files if name.endswith(".tex") and name != "numbers.tex"
    )
    packages = r"\usepackage[margin=2.2cm]{geometry}\usepackage{booktabs,array,longtable}\usepackage[T1]{fontenc}"
    body = rf"\begin{{document}}{tables}\flatminFOneTestSmall\end{{document}}"
    source = rf"\documentclass{{article}}{packages}\input{{numbers}}{body}"
    (tmp_path / "all.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [line for line in done.stdout.splitlines() if line.startswith("Overfull \\hbox")]
    assert wide == []

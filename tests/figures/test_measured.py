"""A measure drawn by rule, with few ways of training and with more than have room side by side."""

import itertools

import pandas as pd
import pytest

from flatmin.figures.measured import measured
from flatmin.measures import measures
from flatmin.results import Tables
from flatmin.results.schema import columns

NAMES = ("small_batch", "large_batch", *(f"way_of_training_{letter}" for letter in "abcdefghijklmnopqrst"))


def tables(regimes, measure="top_eigenvalue", **settings):
    seen = {"network": "F1", "data": "digits", "epoch": float("nan"), "batch_norm": "batch", "examples": 9} | settings
    rows = [
        seen | {"regime": regime, "seed": seed, "partition": 9, "value": 1.0 + place + seed}
        for (place, regime), seed in itertools.product(enumerate(regimes), range(2))
    ]
    frame = pd.DataFrame(rows).reindex(columns=columns()[measure])
    minima = pd.DataFrame(rows)[["network", "data", "regime", "seed"]].assign(batch_size=9, status="finished", epochs=1)
    return Tables(**{measure: frame}, minima=minima.reindex(columns=columns()["minima"]))


@pytest.mark.parametrize("count", [2, 3, 4, 6, 22])
def test_the_names_of_the_ways_of_training_do_not_lie_on_each_other(count):
    measure = measures()["top_eigenvalue"]
    figure = measured(tables(NAMES[:count]), measure=measure, network="F1", data="digits", batch_norm="batch")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    names = axes.get_yticklabels() if axes.get_ylabel() == "" else axes.get_xticklabels()
    boxes = [name.get_window_extent() for name in names]
    assert len(names) == count and axes.get_window_extent().height > 100
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert "largest eigenvalue of the Hessian, log axis" in (axes.get_xlabel(), axes.get_ylabel().replace("\n", " "))


def test_numbers_at_one_setting_stand_over_it_alone_and_the_label_keeps_off_the_legend():
    measure = measures()["adaptive_worst_case_linf"]
    found = tables(NAMES[:2], measure.name, rho=0.002)
    figure = measured(found, measure=measure, network="F1", data="digits", batch_norm="batch")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.002"]
    legend = figure.legends[0].get_window_extent()
    assert not axes.yaxis.label.get_window_extent().overlaps(legend)

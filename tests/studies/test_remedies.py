"""The study of remedies: who is tuned, what is chosen, what it costs, and what intervals say of it."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr, ttest_1samp

from flatmin.core.errors import ConfigError
from flatmin.core.functions import FunctionObjective
from flatmin.curvature import top_eigenvalues
from flatmin.experiments import Reporter, Study, load_experiment, run
from flatmin.experiments.measure_step import MeasureStep
from flatmin.measures import measures
from flatmin.measures.measure import NAMING
from flatmin.results import Tables
from flatmin.results.intervals import Interval, of_ratio_of_means
from flatmin.studies.remedies import KIND
from flatmin.studies.remedies.depth_figure import against_loss, equal_loss
from flatmin.studies.remedies.equal_loss import at_equal_loss
from flatmin.studies.remedies.figure import far_off, moved_apart, side_by_side, tuned, within_sight
from flatmin.studies.remedies.found import at_one_loss, gains, sentences
from flatmin.studies.remedies.judged import effect, ways, with_depth
from flatmin.studies.remedies.trainings import Candidate, TunedTraining, best, work

FILE = """
name: remedies
kind: remedies
data: {name: digits, examples: 120}
network: {name: F1, width: 4}
seeds: [0, 1]
regimes: {small_batch: {batch_size: 12}, large_batch: {batch_size: 50%}}
training: {epochs: 2, optimizer: sgd, learning_rate: 0.1}
variations:
  tuned: {batch_size: 50%}
  sqrt_scaling: {batch_size: 50%, scaling: sqrt}
  regime_adaptation: {batch_size: 50%, regime_adaptation: true}
  sam: {batch_size: 50%, method: sam}
  swap: {batch_size: 50%, swap: {batch_size: 12, epochs: 3, workers: 2}}
tuning: {factors: [0.5, 2], validation: 20}
sharpness: null
slices: null
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "remedies.yaml").write_text(FILE)
    return Study.of(load_experiment(tmp_path / "remedies.yaml"), results=tmp_path)


def of(study, name, seed=0):
    return next(s for s in study.steps if isinstance(s, TunedTraining) and (s.regime, s.seed) == (name, seed))


def test_a_remedy_that_left_no_minimum_at_all_is_named(tmp_path):
    (tmp_path / "remedies.yaml").write_text(FILE)
    thrown = "variations={lars: {batch_size: 50%, training: {optimizer: lars, learning_rate: 1.0e+30}}}"
    cheap = ["tuning=null", "training.epochs=1", "resources={device: cpu, wandb: {mode: disabled}}"]
    tables = run(Study.of(load_experiment(tmp_path / "remedies.yaml", [thrown, *cheap]), results=tmp_path))
    said = next(text for text in sentences(tables) if text.startswith("LARS"))
    assert said == "LARS left no minimum for any seed: 2 trainings diverged."


def test_rules_and_the_plain_large_batch_have_the_small_batchs_learning_rate_and_the_others_their_own(study):
    tried = {s.regime for s in study.steps if isinstance(s, Candidate)}
    assert tried == {"small_batch", "tuned", "sam", "swap"}
    for name in ("small_batch", "large_batch", "sqrt_scaling", "regime_adaptation"):
        assert {c.regime for c in of(study, name).candidates} == {"small_batch"}
    assert {c.regime for c in of(study, "sam").candidates} == {"sam"}
    rates = [c.settings.learning_rate for c in of(study, "sam").candidates]
    assert rates == [0.05, 0.2] and all(
        c.data["examples"] == 100 and c.seed == 1000 for c in of(study, "sam").candidates
    )
    assert of(study, "sqrt_scaling").settings.learning_rate == pytest.approx(0.1 * math.sqrt(60 / 12))


def test_updates_and_gradients_are_those_of_arithmetic(study):
    assert work(of(study, "small_batch"), 2) == {"updates": 20, "gradients": 240}
    assert work(of(study, "sam"), 2) == {"updates": 4, "gradients": 480}
    adapted = of(study, "regime_adaptation")
    assert adapted.settings.epochs == 10 and work(adapted, 10) == {"updates": 20, "gradients": 1200}
    assert work(of(study, "swap"), 2) == {"updates": 4 + 3 * 10, "gradients": 120 * (2 + 3 * 2)}


def test_the_best_candidate_is_taken_and_one_that_diverged_is_the_worst(study):
    low, high = of(study, "sam").candidates

    def result(accuracy, loss, train=0.1):
        return {"validation_accuracy": accuracy, "validation_loss": loss, "train_loss": train}

    assert best([(low, result(0.9, 1.0)), (high, result(0.8, 0.1))]) is low
    assert best([(low, result(0.9, 1.0)), (high, result(0.9, 0.1))]) is high
    assert best([(low, result(0.1, 9.0)), (high, result(0.9, math.nan))]) is low
    assert best([(low, result(math.nan, 2.0)), (high, result(math.nan, 1.0))]) is high
    assert best([(low, result(math.nan, math.nan)), (high, result(0.9, 1.0, math.inf))]) is low


def test_it_runs_and_each_way_is_told_with_what_it_was_trained_with(study, tmp_path):
    long = ["training.epochs=12", "network.width=16", "variations.regime_adaptation=null", "variations.sam=null"]
    long += ["top_eigenvalue={epochs: [2, 5, 9]}"]
    study = Study.of(load_experiment(tmp_path / "remedies.yaml", long), results=tmp_path)
    tables = run(study)
    found = {way.name: way for way in ways(tables)}
    assert (
        set(found) >= {"small_batch", "large_batch", "tuned", "sqrt_scaling", "swap"}
        and found["large_batch"].gain.center == 0
    )
    rows = tables.frames["ways"].set_index(["regime", "seed"])
    chosen = rows.loc[("small_batch", 0), "factor"]
    assert (rows.loc[["large_batch", "sqrt_scaling"], "factor"] == chosen).all()
    assert rows.loc[("sqrt_scaling", 0), "learning_rate"] == pytest.approx(0.1 * chosen * math.sqrt(5))
    members = tables.frames["members"]
    assert sorted(members.loc[members["seed"] == 0, "member"]) == [-1, 0, 1] and list(study.kind.printed(tables))
    assert [one.name for one in at_equal_loss(tables) if one.exists][:2] == ["small_batch", "tuned"]
    panels = {axes.get_title(loc="left") for axes in against_loss(tables, EIGENVALUE).axes if axes.get_visible()}
    assert panels == {"small batch", "tuned", "square-root scaling", "SWAP"}
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in equal_loss(tables).axes]
    assert titles == ["training loss compared at", EIGENVALUE]


def test_fiellers_interval_holds_the_ratios_that_the_t_test_does_not_reject():
    first, second = pd.Series([1.0, 2.2, 2.9, 4.4]), pd.Series([2.1, 3.9, 6.2, 8.1])
    found = of_ratio_of_means(first, second)

    def p(ratio):
        return ttest_1samp(first - ratio * second, 0).pvalue

    assert p(found.low) == pytest.approx(0.05) and p(found.high) == pytest.approx(0.05)
    assert p(found.low - 1e-3) < 0.05 < p(found.low + 1e-3) and p(found.high + 1e-3) < 0.05 < p(found.high - 1e-3)
    assert not of_ratio_of_means(first, pd.Series([1.0, -1.0, 2.0, -1.5])).exists


@pytest.mark.parametrize(
    ("low", "high", "said", "judged"),
    [(0.1, 0.5, "up", "holds"), (-0.5, -0.1, "down", "does not hold"), (-0.1, 0.5, "", "undecided")],
)
def test_a_word_is_said_where_the_interval_is_on_one_side(low, high, said, judged):
    interval = Interval((low + high) / 2, low, high, (low, high))
    assert effect(interval, 0.0, ("down", "up")) == said and interval.judged_above(0) == judged
    assert Interval(1.0, math.nan, math.nan, (1.0,)).judged_above(0) == "undecided"


Made = Callable[..., Study]
EXAMPLES = 90
BIG = {"batch_size": 45}
SWAP = {"batch_size": 15, "epochs": 2, "workers": 3}
WAYS = {
    "swap": BIG | {"swap": SWAP},
    "conservative": BIG | {"method": {"name": "conservative", "iterations": 4}},
    "sam": BIG | {"method": "sam"},
    "adapted": BIG | {"regime_adaptation": True},
    "growing": {"batch_size": 15, "training": {"growing_batch": {"epochs": [1], "factor": 3}}},
    "warm": BIG | {"start": {"epochs": [1]}},
}
CHANGED = (
    *("seeds=[0]", "data.examples=90", "training.epochs=3", "tuning={factors: [1], validation: 30}"),
    "regimes={small_batch: {batch_size: 15}, large_batch: {batch_size: 45}}",
)


@pytest.fixture
def make(tmp_path: Path) -> Made:
    """Makes the study of a tiny file with some settings changed."""
    file = tmp_path / "remedies.yaml"
    file.write_text(FILE)

    def made(*changes: str, **variations: Any) -> Study:
        said = f"variations={variations}".replace("True", "true")
        return Study.of(load_experiment(file, [*CHANGED, *changes, said]), results=tmp_path / "results")

    return made


def test_a_plan_has_every_number_of_examples_that_counts_a_batch(make: Made) -> None:
    wanted: dict[str, Any] = {
        "m_sam": {**BIG, "method": {"name": "sam", "m": 7}},
        "noise": {**BIG, "method": {"name": "gradient_noise", "like": 9}},
        "ghosts": {**BIG, "training": {"ghost_batch_norm": 11}},
        "growing": {"batch_size": 5, "training": {"growing_batch": {"largest": 13, "epochs": [1]}}},
    }
    (line,) = [line for line in make(**wanted).outline if line.startswith("batches: ")]
    for said in ("m-SAM 45 (method.m 7)", "noise 45 (method.like 9)", "ghosts 45 (ghost_batch_norm 11)"):
        assert said in line
    assert "growing 5 (growing_batch.largest 13)" in line


def test_what_a_way_takes_is_all_that_was_trained(make: Made) -> None:
    """Of 90 examples: 6 small or 2 large batches an epoch, 3 epochs."""
    rows = run(make("tuning=null", **WAYS)).frames["ways"].set_index("regime")
    expected = {
        "small_batch": (18, 3 * EXAMPLES),
        "large_batch": (6, 3 * EXAMPLES),
        "swap": (6 + 2 * 6, (3 + 2 * 3) * EXAMPLES),  # workers side by side
        "conservative": (6 * 4, 3 * 4 * EXAMPLES),
        "sam": (6, 3 * 2 * EXAMPLES),
        "adapted": (18, 9 * EXAMPLES),
        "growing": (6 + 2 + 2, 3 * EXAMPLES),
        "warm_1": (6 + 6, (1 + 3) * EXAMPLES),  # an epoch of the small batch before
    }
    assert {name: (row["updates"], row["gradients"]) for name, row in rows.iterrows()} == expected


class Stopped(Reporter):
    """Stops the run when a swap has gone on so often."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advanced(self, step: Any, share: float) -> None:
        if "swap" in step.label:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


def swapped(study: Study) -> "pd.Series[Any]":
    tables = run(study)
    (row,) = tables.minima.query("regime == 'swap'").to_dict("records")
    (way,) = tables.frames["ways"].query("regime == 'swap'").to_dict("records")
    return pd.Series(row | way)


def test_a_swap_killed_among_its_workers_ends_the_same_and_leaves_nothing_half_done(make: Made) -> None:
    study = make("tuning=null", swap=WAYS["swap"])
    whole = swapped(study)
    shutil.rmtree(study.folder)
    with pytest.raises(KeyboardInterrupt):
        run(study, Stopped(after=9))
    assert [*study.folder.rglob("training.swap/worker0.ckpt")]
    again = swapped(study)
    assert pd.isna(again["seconds"]) and not pd.isna(whole["seconds"])  # a part of the time is not the time
    assert again.drop("seconds").equals(whole.drop("seconds"))
    assert not [*study.folder.rglob("training*")]


def test_a_rate_that_makes_a_swap_diverge_is_not_taken_and_ends_nothing(make: Made) -> None:
    tables = run(make("tuning={factors: [1, 1e25], validation: 30}", swap=WAYS["swap"]))
    tried = tables.frames["tuning"].query("regime == 'swap'").set_index("factor")["status"]
    assert tried[1e25] == "diverged" and tried[1.0] != "diverged"
    assert tables.frames["ways"].set_index("regime").loc["swap", "factor"] == 1.0


@pytest.mark.parametrize(
    ("variation", "words"),
    [
        ({"training": {"growing_batch": {"epochs": [1], "largest": 9}}}, "training.growing_batch.largest must be at l"),
        ({"training": {"averaging": {"start": 0}}}, "training.averaging.start must be an epoch, 1 or more, .*, got 0"),
        ({"training": {"averaging": {"start": 1.5}}}, "training.averaging.start must be an epoch, .* got 1.5"),
        ({"training": {"averaging": {"start": 4}}}, "training.averaging.start must be at most the 3 epochs trained"),
        ({"swap": SWAP, "training": {"averaging": {"start": 1}}}, "training.averaging must be null with `swap`"),
        ({"swap": SWAP | {"batch_size": 91}}, "swap.batch_size must be at most the 90 training examples, got 91"),
        ({"swap": SWAP | {"batch_size": 1}}, "swap.batch_size must be at least 2, got 1"),
        ({"method": {"name": "sam", "m": 1}}, "method.m must leave two examples in each part of a batch of 45, got 1"),
        ({"method": {"name": "sam", "m": 2}}, "method.m must leave two examples in each part of a batch of 45, got 2"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(variation: dict[str, Any], words: str, make: Made) -> None:
    with pytest.raises(ConfigError, match=rf"variations\.s\.{words}[^\n]*\Z"):
        make("tuning=null", s=BIG | variation)


@pytest.mark.parametrize(
    ("tuning", "words"),
    [
        ("{seed: 0}", r"seed must be none of the seeds \[0\], got 0"),
        ("{validation: 90}", "validation must leave some of the 90 training examples, got 90"),
        ("{validation: 1}", "validation must be at least 2 of the 90 training examples, got 1"),
        ("{validation: 80}", r"validation must leave a whole batch of 15 \(small_batch\), leaves 10 examples"),
        ("{factors: [1e-320, 1], validation: 30}", "factors must leave positive, finite learning rates, got .* times"),
    ],
)
def test_tuning_that_cannot_be_is_refused_in_a_line(tuning: str, words: str, make: Made) -> None:
    with pytest.raises(ConfigError, match=rf"tuning\.{words}[^\n]*\Z"):
        make(f"tuning={tuning}", "training.learning_rate=1e-10")


FROZEN = Path(__file__).parents[2] / "paper" / "data" / "remedies_f1_128"


@pytest.mark.parametrize(("power", "expected"), [(1.0, 1.0), (0.5, 1.0), (-1.0, -1.0)])
def test_a_sharpness_that_is_the_depth_is_found_to_be_so(power, expected):
    tables = Tables.read(FROZEN)
    depth = tables.minima.set_index(["regime", "seed"])["train_loss"] ** power
    rows = tables.frames["top_eigenvalue"]
    same = rows.assign(value=[depth[key] for key in zip(rows["regime"], rows["seed"], strict=True)])
    found = with_depth(ways(tables.having(top_eigenvalue=same)))
    assert found["largest eigenvalue of the Hessian"].values == pytest.approx([expected] * 3)


def test_the_frozen_correlations_with_the_depth_are_scipys():
    tables = measured_at_the_end()
    minima, rows = tables.minima, tables.frames["top_eigenvalue"]
    both = minima.merge(rows[["regime", "seed", "value"]], on=["regime", "seed"])
    other = both[both["regime"] != "large_batch"]
    expected = [spearmanr(part["train_loss"], part["value"]).statistic for _, part in other.groupby("seed")]
    found = with_depth(ways(tables))["largest eigenvalue of the Hessian"]
    assert found.values == pytest.approx(expected) and len(found.seeds) == 3
    assert any("Sharpness fades with the training loss" in text for text in sentences(tables))


def test_a_sharpness_that_is_the_inverse_of_the_rate_is_found_to_be_so_over_ways_that_step_alike():
    rates = measured_at_the_end().frames["ways"].groupby("regime")["learning_rate"].first()
    others = ("lars", "lamb", "akiba", "swap", "small_batch", "growing_batch")
    tables = with_networks_on_the_way(lambda name, loss: rates[name] if name in others else 1 / rates[name])
    told = [text for text in sentences(tables) if "by itself" in text]
    assert len(told) == 1 and "over the 16 ways" in told[0]
    assert f"{EIGENVALUE} -1.00 [-1.00, -1.00] (-1.00 [-1.00, -1.00] at equal loss)" in told[0]


def test_a_way_that_ended_as_the_large_batch_is_said_to_have():
    tables = measured_at_the_end()
    named = {name: rows for name, rows in tables.frames.items() if "regime" in rows}
    copied = {
        name: pd.concat([rows[rows["regime"] != "tuned"], rows[rows["regime"] == "large_batch"].assign(regime="tuned")])
        for name, rows in named.items()
    }
    assert "Tuned: the large batch's numbers, every one." in [*sentences(tables.having(**copied))]


def test_the_small_batchs_learning_rate_at_the_edge_is_told_with_the_gap():
    tables = measured_at_the_end()
    ended = tables.frames["ways"]
    (there,), (edge,) = (
        [text for text in sentences(tables.having(ways=ended.assign(at_edge=at_edge))) if text.startswith("The gap")]
        for at_edge in (False, ended["regime"] == "small_batch")
    )
    assert edge.startswith(there) and edge.endswith("is at the edge of those tried.") and "edge" not in there


@pytest.mark.parametrize(
    ("factors", "all_of_them", "said"),
    [
        (
            [1.0, 3.0],
            False,
            "(1, 3 times its own) on held-out training examples, seed 1000; with the small batch's: large",
        ),
        ([1.0, 3.0], True, "the best of 2 (1, 3 times its own) on held-out training examples, seed 1000"),
        ([2.0], False, "Learning rates not tuned: each 2 times its own"),
    ],
    ids=["some are not", "all are", "none is"],
)
def test_a_footer_says_whose_learning_rates_were_tuned(factors, all_of_them, said):
    tables = measured_at_the_end()
    experiment = tables.experiment | {"tuning": tables.experiment["tuning"] | {"factors": factors}}
    tables = Tables(provenance=tables.provenance | {"experiment": experiment}, **tables.frames)
    if all_of_them:
        tables = tables.having(minima=tables.minima[tables.minima["regime"].isin(tables.frames["tuning"]["regime"])])
    (told,) = tuned(tables)
    assert said in told and ("small batch" in told) is ("small batch" in said)


def test_a_footer_names_no_way_that_is_not_there():
    tables = measured_at_the_end()
    adapted = ["hoffer", "regime_adaptation"]
    variations = {name: way for name, way in tables.experiment["variations"].items() if name not in adapted}
    without = Tables(
        provenance=tables.provenance | {"experiment": tables.experiment | {"variations": variations}},
        **{name: rows[~rows["regime"].isin(adapted)] for name, rows in tables.frames.items() if "regime" in rows},
    )
    assert ["regime adaptation" in tuned(each)[0] for each in (tables, without)] == [True, False]


def test_a_footer_names_what_grows_in_all_ways_where_it_leaves_one_untuned():
    tables = measured_at_the_end()
    regimes = ["small_batch", "large_batch", "tuned"]
    ways = {name: rows[rows["regime"].isin(regimes)] for name, rows in tables.frames.items() if "regime" in rows}
    ways["tuning"] = ways["tuning"].query("regime == 'small_batch'")
    for growing, said in ((None, "large batch"), ({"epochs": [1], "factor": 2.0}, "large batch, growing batches")):
        training = tables.experiment["training"] | {"growing_batch": growing}
        provenance = tables.provenance | {"experiment": tables.experiment | {"training": training}}
        (told,) = tuned(Tables(provenance=provenance, **ways))
        assert told.endswith(f"; with the small batch's: {said}")


def test_every_network_with_the_large_batchs_optimiser_and_batch_size_is_in_the_correlation_with_the_rate():
    tables = measured_at_the_end()
    sizes = tables.minima.groupby("regime")["batch_size"].first()
    alike = sizes.index[sizes == sizes["large_batch"]].difference(["lars", "lamb", "akiba", "swap"])
    assert "warm_start_5" in alike  # a number behind its name: of a list of epochs
    (told,) = [text for text in sentences(tables) if "by itself" in text]
    assert f"over the {len(alike)} ways" in told
    rates = tables.frames["ways"].pivot(index="seed", columns="regime", values="learning_rate")[alike]
    values = tables.frames["top_eigenvalue"].pivot(index="seed", columns="regime", values="value")[alike]
    expected = np.mean([spearmanr(rates.loc[seed], values.loc[seed]).statistic for seed in rates.index])
    assert f"{EIGENVALUE} {expected:+.2f} [" in told


EIGENVALUE = "largest eigenvalue of the Hessian"
WAY = (1, 3, 6, 12, 20)


def measured_at_the_end() -> Tables:
    """The frozen study without what was measured along its training."""
    tables = Tables.read(FROZEN)
    taken = ("sharpness", "adaptive_worst_case_linf", "top_eigenvalue")
    return tables.having(**{name: tables.frames[name].query("epoch.isna()") for name in taken})


def with_networks_on_the_way(sharp: Callable[[str, float], float]) -> Tables:
    """The frozen study, as if every network, at its end or on its way, had a sharpness by name and training loss."""
    tables = measured_at_the_end()
    ends = tables.minima[["regime", "seed", "train_loss"]]
    curves = tables.curves[(tables.curves["split"] == "train") & tables.curves["epoch"].isin(WAY)]
    curves = curves[~curves["regime"].isin(["swa", "swap"])].rename(columns={"loss": "train_loss"})
    networks = pd.concat([ends.assign(epoch=math.nan), curves[["regime", "seed", "epoch", "train_loss"]]])
    rows = tables.frames["top_eigenvalue"].drop(columns=["value", "epoch"]).merge(networks, on=["regime", "seed"])
    value = [sharp(name, loss) for name, loss in zip(rows["regime"], rows["train_loss"], strict=True)]
    return tables.having(top_eigenvalue=rows.drop(columns="train_loss").assign(value=value))


@pytest.mark.parametrize("power", [0.5, 1.0, -0.3])
def test_a_sharpness_that_is_the_depth_and_no_more_is_the_same_at_equal_loss(power):
    tables = with_networks_on_the_way(lambda name, loss: loss**power)
    found = at_equal_loss(tables)
    assert [one.name for one in found] == [way.name for way in ways(tables) if way.name != "large_batch"]
    for one in found:
        values = one.flatness[EIGENVALUE].values
        assert values == pytest.approx([1.0] * len(values), rel=1e-9) and len(values) == (0 if one.name == "swa" else 3)
        assert (one.exists, one.flattens) == (one.name != "swa", "")
    by = {one.name: one for one in found}
    assert by["regime_adaptation"].loss.values == pytest.approx([1.0] * 3)
    depth = {way.name: way.depth for way in ways(tables)}
    for deep, shallow in (("tuned", "swap"), ("akiba", "augmented")):
        assert by[deep].loss.values == pytest.approx([1.0] * 3) and by[shallow].loss.values == depth[shallow].values


def test_what_a_way_has_beyond_its_depth_is_all_that_is_left_at_equal_loss():
    tables = with_networks_on_the_way(lambda name, loss: loss * {"lars": 3.0, "hoffer": 0.5}.get(name, 1.0))
    found = {one.name: one for one in at_equal_loss(tables)}
    assert found["lars"].flatness[EIGENVALUE].center == pytest.approx(3.0) and found["lars"].flattens == "sharpens"
    assert found["hoffer"].flatness[EIGENVALUE].center == pytest.approx(0.5) and found["hoffer"].flattens == "flattens"
    ways_by_name = {way.name: way for way in ways(tables)}
    said = [*at_one_loss(found, ways_by_name)]
    assert "20 ways of training can be compared. Nothing to compare for SWA." in said[0] and len(said) == 2
    ended = {name: effect(way.flatness[EIGENVALUE], 1.0, ("-", "+")) for name, way in ways_by_name.items()}
    flatter, sharper = (sum(ended[name] == sign for name in found if name != "swa") for sign in "-+")
    assert f"{flatter} flatter at the end of training (1 flatter, 0 sharper, {flatter - 1} undecided); " in said[1]
    assert f"{sharper} sharper at the end of training (0 flatter, 1 sharper, {sharper - 1} undecided); " in said[1]


def test_a_count_that_is_none_is_not_told():
    tables = with_networks_on_the_way(lambda name, loss: 1.0)
    said = [*at_one_loss({one.name: one for one in at_equal_loss(tables)}, {way.name: way for way in ways(tables)})]
    assert said[1].endswith("equal loss: 20 undecided at the end of training (0 flatter, 0 sharper, 20 undecided).")


@pytest.mark.parametrize("count", [2, 5])
def test_each_axis_of_sharpness_against_loss_has_its_label_clear_of_heading_and_footer(count):
    tables = with_networks_on_the_way(lambda name, loss: loss)
    few = tables.minima[tables.minima["regime"].isin([*tables.minima["regime"].unique()[: count + 1]])]
    figure = against_loss(tables.having(minima=few), EIGENVALUE)
    figure.draw_without_rendering()
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == count
    assert [axes.get_xlabel() for axes in drawn[-min(count, 4) :]] == ["training loss, log axis"] * min(count, 4)
    (label, foot), (legend,) = figure.texts[-2:], figure.legends
    boxes = [each.get_window_extent() for each in (label, foot, legend)]
    assert label.get_text().replace("\n", " ") == f"{EIGENVALUE}, log axis" and foot.get_text().startswith("Seeds: ")
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["small batch", "large batch", "the way of training"]


@pytest.mark.parametrize(("low", "high"), [(0.005, 20), (0.02, 500), (0.3, 4), (1, 1e9), (1e-9, 1.5)])
def test_the_large_batchs_line_has_a_label_on_an_axis_of_ratios(low, high):
    axes = Figure().subplots()
    within_sight(axes, [Interval(1.0, low, high, (low, high), (0, 1))], scale="log")
    places = [place for place in axes.get_xticks() if axes.get_xlim()[0] <= place <= axes.get_xlim()[1]]
    assert any(place == pytest.approx(1.0) for place in places) and 1 <= len(places) <= 5


def test_whether_the_flat_ways_gain_is_scipys_rank_correlation_at_the_end_and_at_equal_loss():
    tables = with_networks_on_the_way(lambda name, loss: loss * {"lars": 3.0, "hoffer": 0.5}.get(name, 1.0))
    found, compared = {way.name: way for way in ways(tables)}, {one.name: one for one in at_equal_loss(tables)}
    (said,) = gains(compared, found)
    for which, names in ((found, [*found]), (compared, [name for name in compared if name != "swa"])):
        others = [name for name in names if name != "large_batch"]
        each = [
            spearmanr(
                [found[name].gain.values[seed] for name in others],
                [which[name].flatness[EIGENVALUE].values[seed] for name in others],
            ).statistic
            for seed in range(3)
        ]
        assert f"{sum(each) / 3:+.2f} [" in said


def test_nothing_is_said_of_equal_loss_where_nothing_was_measured_along_training():
    tables = measured_at_the_end()
    assert at_equal_loss(tables) == []
    assert not [*at_one_loss({}, {way.name: way for way in ways(tables)})]


def test_every_way_but_an_average_is_measured_after_the_same_share_of_its_training(make: Made) -> None:
    named = WAYS | {"mean": BIG | {"training": {"averaging": {"start": 1}}}}
    along = make("top_eigenvalue={epochs: [1, 2]}", **named)
    asked: dict[str, list[int | None]] = {}
    for step in along.steps:
        if isinstance(step, MeasureStep):
            asked.setdefault(step.network.regime, []).append(step.epoch)
            assert step.epoch is None or step.epoch in step.network.settings.snapshots
    longer, ends = {"adapted": [None, 3, 6]}, {"swap": [None], "mean": [None]}
    names = ("small_batch", "large_batch", *WAYS, "mean")
    others: dict[str, list[int | None]] = {name.replace("warm", "warm_1"): [None, 1, 2] for name in names}
    assert asked == others | longer | ends

    def tuned(study: Study) -> list[dict[str, Any]]:
        return [step.setup for step in study.steps if isinstance(step, Candidate)]

    assert tuned(along) == tuned(make(**named))


def test_a_measure_of_fewer_seeds_or_networks_takes_nothing_from_the_others():
    """The largest eigenvalue is that of the frozen seeds; average-case sharpness here of seed 0 and two epochs."""
    tables = with_networks_on_the_way(lambda name, loss: loss * {"lars": 3.0}.get(name, 1.0))
    alone = at_equal_loss(tables)
    rows = tables.frames["top_eigenvalue"]
    few = rows[(rows["seed"] == 0) & (rows["epoch"].isna() | rows["epoch"].isin([6, 12]))]
    named = few[[*NAMING]].assign(sigma=1.0, noise="gaussian", value=7.0 * few["value"])
    lacking = [name for name in measures()["average_case"].table if name not in named]
    both = at_equal_loss(tables.having(average_case=named.assign(**dict.fromkeys(lacking, 0.0))))
    for one, other in zip(both, alone, strict=True):
        assert (one.loss.values, one.flatness[EIGENVALUE].values) == (
            other.loss.values,
            other.flatness[EIGENVALUE].values,
        )
    lars = next(one for one in both if one.name == "lars").flatness["average-case sharpness"]
    assert lars.values == pytest.approx([3.0]) and lars.seeds == (0,)


def test_the_loss_compared_at_is_told_of_the_large_batchs_last_one_even_where_it_rose_again():
    tables = with_networks_on_the_way(lambda name, loss: loss)
    before = {one.name: one.loss.values for one in at_equal_loss(tables)}
    minima = tables.minima
    risen = minima["train_loss"].where(minima["regime"] != "large_batch", 1.5 * minima["train_loss"])
    rows = tables.frames["top_eigenvalue"]
    ended = (rows["regime"] == "large_batch") & rows["epoch"].isna()
    tables = tables.having(minima=minima.assign(train_loss=risen))
    tables = tables.having(top_eigenvalue=rows.assign(value=rows["value"].where(~ended, 1.5 * rows["value"])))
    shallow = next(one for one in at_equal_loss(tables) if one.name == "augmented")
    assert shallow.loss.values == pytest.approx([value / 1.5 for value in before["augmented"]])
    assert shallow.flatness[EIGENVALUE].values == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["lars", "large_batch"])
def test_a_network_whose_sharpness_has_no_logarithm_is_passed_over(name, bad):
    tables = with_networks_on_the_way(lambda name, loss: loss)
    rows = tables.frames["top_eigenvalue"]
    spoilt = (rows["regime"] == name) & rows["epoch"].isin([3, 20])
    found = at_equal_loss(tables.having(top_eigenvalue=rows.assign(value=rows["value"].where(~spoilt, bad))))
    lars = next(one for one in found if one.name == "lars").flatness[EIGENVALUE]
    assert lars.values == pytest.approx([1.0] * 3)


def test_figures_are_drawn_where_nothing_can_be_compared(tmp_path, monkeypatch):
    tables = with_networks_on_the_way(lambda name, loss: loss if name == "large_batch" else 0.0)
    named = {name: rows for name, rows in tables.frames.items() if "regime" in rows}
    few = {name: rows[rows["regime"].isin(["large_batch", "lars"])] for name, rows in named.items()}
    tables = tables.having(**few | {"sharpness": tables.sharpness.iloc[:0]})
    assert [one.exists for one in at_equal_loss(tables)] == [False]
    monkeypatch.setattr("flatmin.figures.render", lambda tables, out: [])
    files = [file.name for file in KIND.draw(tables, tmp_path)]
    assert "equal_loss.pdf" in files and not [file for file in files if file.startswith("against_loss")]


def test_a_training_that_left_no_minimum_is_in_no_number():
    tables = with_networks_on_the_way(lambda name, loss: loss)
    minima, lost = tables.minima, [("large_batch", 1), ("lars", 2), ("swa", 0)]
    keys = pd.MultiIndex.from_frame(minima[["regime", "seed"]])
    tables = tables.having(minima=minima.assign(status=minima["status"].where(~keys.isin(lost), "chance")))
    seeds = {way.name: way.flatness[EIGENVALUE].seeds for way in ways(tables) if way.flatness}
    assert (seeds["tuned"], seeds["lars"], seeds["swa"]) == ((0, 2), (0,), (2,))
    at_loss = {one.name: one.flatness[EIGENVALUE].seeds for one in at_equal_loss(tables)}
    assert at_loss["tuned"] == (0, 2) and at_loss["lars"] == (0,)


def test_a_minimum_measured_on_fewer_examples_too_is_judged_by_the_number_of_all_networks():
    tables = Tables.read(FROZEN)
    rows = tables.sharpness
    subset = rows[rows["epoch"].isna()].assign(examples=100.0, sharpness=50 * rows["sharpness"])
    with_subset = tables.having(sharpness=pd.concat([rows, subset], ignore_index=True))
    assert [way.flatness for way in ways(with_subset)] == [way.flatness for way in ways(tables)]


def test_a_network_whose_derivatives_are_not_finite_is_not_measured_and_ends_nothing(make: Made, tmp_path) -> None:
    study = make("tuning=null", "training.epochs=1", "top_eigenvalue={}")
    run(study)
    step = next(step for step in study.steps if isinstance(step, MeasureStep))

    def thrown(*_: Any) -> Any:
        return top_eigenvalues(FunctionObjective(lambda w: (w**4).sum(), torch.full((2,), 1e200, dtype=torch.float64)))

    outcome = replace(step, measure=replace(step.measure, run=thrown)).run(
        study.workplace, tmp_path, lambda share: None
    )
    assert (outcome.status, outcome.tables, outcome.result["rows"]) == ("diverged", {}, [])
    assert outcome.result["reason"].startswith("a product with the Hessian is not finite")


def test_where_all_end_as_means_of_weights_nothing_is_measured_on_the_way(make: Made) -> None:
    study = make("tuning=null", "training.averaging={start: 1}", "top_eigenvalue={epochs: [1, 2]}", warm=WAYS["warm"])
    assert {step.epoch for step in study.steps if isinstance(step, MeasureStep)} == {None}


def test_of_real_targets_the_sharpness_is_told_and_no_accuracy():
    tables = with_networks_on_the_way(lambda name, loss: loss)
    none = dict.fromkeys(
        ["train_accuracy", "test_accuracy", "running_train_accuracy", "running_test_accuracy"], math.nan
    )
    real = tables.having(minima=tables.minima.assign(**none), members=tables.frames["members"].iloc[:0])
    said = [*sentences(real)]
    assert said[0].startswith("The targets are real numbers") and not any(" points" in text for text in said[2:])
    assert any(text.startswith("LARS: training loss × 14 [7.5, 27]; ") for text in said)
    assert not any("not known" in text or "nan" in text for text in said)
    assert "none: the targets\nare real numbers" in [text.get_text() for text in side_by_side(real).axes[0].texts]


FAR = {
    "nothing": ([0.0, 1.0, 2.0, 3.0, 4.0], []),
    "one below": ([0.0, 1.0, 2.0, 0.5, -15.0], [4]),
    "one above": ([30.0, 1.0, 2.0, 0.5, 0.0], [0]),
    "one on either side of ten": ([*range(8), -90.0, 200.0], [8, 9]),
    "more than a fifth": ([0.0, 1.0, 2.0, 30.0, 31.0], []),
    "too few to tell": ([0.0, 1.0, -15.0], []),
    "one not known": ([0.0, 1.0, 2.0, 0.5, 0.2, math.nan, -15.0], [6]),
    "all in one place": ([1.0] * 6, []),
}


@pytest.mark.parametrize(("centers", "expected"), FAR.values(), ids=FAR)
def test_few_ways_far_from_all_others_do_not_take_their_room_and_are_told_at_the_frame(centers, expected):
    axes = Figure().subplots()
    far = far_off(axes, [Interval(center, center, center, (center,), (0,)) for center in centers])
    low, high = axes.get_xlim()
    assert sorted(far) == expected
    for number, center in enumerate(centers):
        told = far[number][0] if number in far else center
        assert math.isnan(center) or low <= told <= high
    assert all(side == ("left" if centers[number] < low else "right") for number, (_, side) in far.items())


@pytest.mark.parametrize("seed", range(5))
def test_circles_that_would_hide_each_other_are_moved_apart_and_the_others_stay(seed):
    generator = np.random.default_rng(seed)
    crowd, lonely = generator.normal(0, 8, (20, 2)), np.array([[300.0, 300.0]])
    crowd[1] = crowd[0]
    points = np.concatenate([crowd, lonely])
    moved = moved_apart(points, 9)
    between = np.linalg.norm(moved[:, None] - moved[None], axis=-1)[np.triu_indices(len(moved), 1)]
    assert between.min() >= 8.9 and np.array_equal(moved[-1], lonely[0])


def test_circles_in_one_place_or_in_a_row_fan_out_and_stay_near():
    for crowd in (np.zeros((40, 2)), np.column_stack([np.arange(20) / 2, np.zeros(20)])):
        moved = moved_apart(crowd, 9)
        between = np.linalg.norm(moved[:, None] - moved[None], axis=-1)[np.triu_indices(len(moved), 1)]
        assert between.min() >= 8.9 and np.linalg.norm(moved - crowd, axis=1).max() < 45


def test_a_measure_that_the_large_batch_lacks_is_left_out():
    tables = measured_at_the_end()
    rows = tables.frames["top_eigenvalue"]
    without = tables.having(top_eigenvalue=rows[rows["regime"] != "large_batch"])
    assert not any(EIGENVALUE in text for text in sentences(without))
    assert all(EIGENVALUE not in way.flatness and "Keskar's sharpness" in way.flatness for way in ways(without))

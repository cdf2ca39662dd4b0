"""Sweeps, warm starts, remedies, networks on their way and the effort of the search, in a whole experiment."""

from types import SimpleNamespace

import numpy as np
import pytest

from flatmin.core.errors import ConfigError
from flatmin.experiments import Reporter, Study, run
from flatmin.experiments.loading import load_experiment
from flatmin.studies.comparison.budget import reductions

PAIR = {"small_batch": {"batch_size": 16}, "large_batch": {"batch_size": "50%"}}
VARIATIONS = {
    "sweep": {"batch_size": [8, "25%"]},
    "warm_start": {"batch_size": "50%", "start": {"epochs": [0, 2]}},
    "conservative": {"batch_size": "50%", "method": {"name": "conservative", "strength": 1e-2}},
}
MEASURES = {"methods": ["paper"], "batch_norm": ["running"], "spaces": ["full"], "epsilons": [1e-3], "examples": 80}


@pytest.fixture(scope="module")
def study(experiment, tmp_path_factory):
    changed = experiment(
        regimes=PAIR,
        variations=VARIATIONS,
        training={"epochs": 2},
        sharpness={**MEASURES, "epochs": [1]},
        effort={"evaluations": 12, "batch_norm": ["batch"], "examples": 40},
    )
    return Study.of(changed, results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def tables(study):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flatmin.figures.render", lambda tables, out: out.mkdir() or [])
        return run(study)


def one(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    (row,) = frame.to_dict("records")
    return row


def test_a_list_stands_for_one_network_each(tables):
    minima = tables.minima.set_index("regime")
    assert list(minima.index) == [
        *("small_batch", "large_batch", "sweep_8", "sweep_20", "warm_start_0", "warm_start_2", "conservative"),
    ]
    assert list(minima["batch_size"]) == [16, 40, 8, 20, 40, 40, 40]
    assert list(minima["start_epoch"].dropna()) == [0, 2]


@pytest.mark.parametrize(("regime", "epoch"), [("warm_start_0", 0), ("warm_start_2", 2)])
def test_a_warm_start_begins_where_small_batch_training_was(tables, regime, epoch):
    begun = one(tables.curves, regime=regime, epoch=0, split="train")
    left = one(tables.curves, regime="small_batch", epoch=epoch, split="train")
    assert begun["loss"] == left["loss"] and begun["accuracy"] == left["accuracy"]


def test_a_warm_start_from_the_seeds_own_start_is_large_batch_training(tables):
    warm, plain = (one(tables.minima, regime=name) for name in ("warm_start_0", "large_batch"))
    assert warm["train_loss"] == plain["train_loss"] and warm["distance_from_start"] == plain["distance_from_start"]


@pytest.mark.parametrize("regime", PAIR)
def test_sharpness_on_the_way_is_that_of_the_network_after_the_epoch(tables, regime):
    found = one(tables.sharpness, regime=regime, epoch=1)
    on_the_way = one(tables.curves, regime=regime, epoch=1, split="train")
    assert found["base_loss"] == pytest.approx(on_the_way["running_loss"], rel=1e-5)
    assert one(tables.sharpness, regime=regime, epoch=None)["base_loss"] != found["base_loss"]


def test_only_regimes_keep_snapshots_and_only_those_asked_for(study):
    kept = {step.facts["regime"]: step.settings.snapshots for step in study.steps if step.kind == "trained"}
    assert kept.pop("small_batch") == (0, 1, 2) and kept.pop("large_batch") == (1,)
    assert set(kept.values()) == {()}


def test_effort_never_falls_and_counts_from_the_first_evaluation(tables):
    ways = tables.effort.groupby(["regime", "climber", "start"])
    assert len(ways) == 2 * 3 * 3
    for _, way in ways:
        assert np.all(np.diff(way["sharpness"]) >= 0) and np.all(np.diff(way["evaluations"]) > 0)
        assert way["evaluations"].max() <= 12


def test_remedies_change_the_weights(tables):
    assert (
        one(tables.minima, regime="conservative")["train_loss"]
        != one(tables.minima, regime="large_batch")["train_loss"]
    )


def test_plain_training_keeps_its_identity(make):
    """Whatever training learns to do besides, a record of plain training stays what it was."""
    (small, _) = make().steps
    assert set(small.setup) == {"data", "network", "training", "seed"}
    assert set(small.setup["training"]) == {
        *("batch_size", "epochs", "optimizer", "learning_rate", "momentum"),
        *("patience", "min_improvement", "evaluation_batch_size", "readings"),
    }


BUDGET = """
name: cut
data: {name: digits, examples: 1000}
network: F1
regimes: {small_batch: {batch_size: 20}, large_batch: {batch_size: 10%}}
variations: {warm: {batch_size: 10%, start: {epochs: [1, 10, 40, 100]}}}
sharpness: {examples: 500, epochs: [0, 50]}
slices: {planes: {examples: 200}}
"""


def test_a_budget_is_spent_on_epochs_and_examples_alike(tmp_path):
    path = tmp_path / "cut.yaml"
    path.write_text(BUDGET)
    study = Study.of(load_experiment(path, ["budget=0.1", "seeds=[0]"]), results=tmp_path)
    cut = study.experiment
    assert cut.training.epochs == 10
    assert cut.variations["warm"].start.epochs == (1, 4, 10) and cut.sharpness.epochs == (0, 5)
    assert (cut.sharpness.examples, cut.slices.examples, cut.slices.planes.examples) == (50, 100, 20)
    assert [remark.text for remark in study.reduced] == [
        "Small batch of 20, not 256",
        "Trained for 10 of 100 epochs",
        "Trained on the first 1,000 of 1,437 examples",
        "Sharpness on the first 50 of 1,000 training examples",
        "Slices on the first 100 of 1,000 training examples",
        "Planes on the first 20 of 1,000 training examples",
    ]


def test_a_budget_of_less_than_an_epoch_cuts_what_is_trained_on(tmp_path):
    path = tmp_path / "cut.yaml"
    path.write_text(BUDGET)
    study = Study.of(load_experiment(path, ["budget=0.005", "seeds=[0]", "slices=null"]), results=tmp_path)
    assert study.experiment.training.epochs == 1 and study.steps[0].data["examples"] == 500
    assert "Trained on the first 500 of 1,437 examples" in [remark.text for remark in study.reduced]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sweep": {"batch_size": [20, 40]}}, "large_batch and sweep_40 must differ, got batches of 40 for both"),
        ({"sweep": {"batch_size": [20, "25%"]}}, "variations must have one network called sweep_20, got a second one"),
        ({"big": {"batch_size": 81}}, "variations.big.batch_size must be at most data.examples .80., got 81"),
        (
            {"warm": {"batch_size": 8, "start": {"epochs": [3]}}},
            "start.epochs must be at most training.epochs .1., got 3",
        ),
        ({"large_batch": {"batch_size": 8}}, "must be up to 40 small letters, digits and underscores, and no regime"),
        ({"Big": {"batch_size": 8}}, "must be up to 40 small letters"),
        ({"b": {"batch_size": 8, "method": "careful"}}, "careful"),
    ],
)
def test_variations_that_make_no_sense_are_refused(make, changes, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        make(variations=changes)


def test_a_variation_can_be_left_out_from_the_command_line(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(BUDGET)
    kept = load_experiment(path).variations
    assert set(load_experiment(path, ["variations.warm=null"]).variations) == set(kept) - {"warm"}
    with pytest.raises(ConfigError, match=r"variations\.worm=null: there is no such variation .* there are: .*warm"):
        load_experiment(path, ["variations.worm=null"])


def test_some_variations_can_be_taken_from_the_command_line(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(NAMED)
    assert set(load_experiment(path, ["variations=[noise,swap]"]).variations) == {"noise", "swap"}
    assert load_experiment(path, ["variations=[]"]).variations == {}
    changed = load_experiment(path, ["variations=[noise]", "variations.noise.method.like=8"])
    assert changed.variations["noise"].method.like == 8
    with pytest.raises(ConfigError, match=r"variations=noise: variations must be a list such as \[noise\]"):
        load_experiment(path, ["variations=noise"])
    for unknown in ("worm", "{noise: 1}", "3"):
        with pytest.raises(ConfigError, match=r"there is no such variation as .* there are: swap, grow, noise, ghosts"):
            load_experiment(path, [f"variations=[noise,{unknown}]"])


NAMED = """
name: named
data: {name: digits, examples: 1000}
network: F1
regimes: {small_batch: {batch_size: 20}, large_batch: {batch_size: 10%}}
variations:
  swap: {batch_size: large_batch, swap: {batch_size: small_batch, epochs: 1}}
  grow: {batch_size: [small_batch, 50], training: {growing_batch: {epochs: [3], factor: 2}}}
  noise: {batch_size: large_batch, method: {name: gradient_noise, like: small_batch}}
  ghosts: {batch_size: 100, training: {ghost_batch_norm: small_batch}, start: {regime: small_batch, epochs: [1]}}
"""


@pytest.mark.parametrize(
    "overrides, small, large", [([], 20, "10%"), (["regimes.small_batch.batch_size=25"], 25, "10%")]
)
@pytest.mark.parametrize("large_too", [False, True])
def test_a_batch_size_may_be_that_of_a_regime_wherever_a_variation_has_one(
    tmp_path, overrides, small, large, large_too
):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    if large_too:
        overrides, large = [*overrides, "regimes.large_batch.batch_size=200", "training.epochs=7"], 200
    ways = load_experiment(path, overrides).variations
    assert (ways["swap"].batch_size, ways["swap"].swap.batch_size) == (large, small)
    assert ways["grow"].batch_size == (small, 50)
    assert (ways["noise"].batch_size, ways["noise"].method.like) == (large, small)
    assert (ways["ghosts"].batch_size, ways["ghosts"].training.ghost_batch_norm) == (100, small)
    assert ways["ghosts"].start.regime == "small_batch"


def test_the_batch_that_a_growing_one_stops_at_may_be_a_regimes(tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    stop = "variations.grow.training.growing_batch.largest=large_batch"
    ways = load_experiment(path, [stop, "regimes.large_batch.batch_size=200"]).variations
    assert ways["grow"].training.growing_batch.largest == 200


def test_an_override_may_name_a_regime_and_a_number_takes_its_place(tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    ways = load_experiment(
        path, ["variations.swap.swap.batch_size=7", "variations.ghosts.batch_size=large_batch"]
    ).variations
    assert (ways["swap"].swap.batch_size, ways["ghosts"].batch_size) == (7, "10%")


@pytest.mark.parametrize("slip", ["smal_batch", "small-batch", "small batch"])
@pytest.mark.parametrize("key", ["swap.batch_size", "swap.swap.batch_size", "ghosts.training.ghost_batch_norm"])
def test_a_slip_in_the_name_of_a_regime_is_told_with_their_names(key, slip, tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    said = rf"variations.{key} must be a whole number above 0.* or one of the regimes .*'small_batch', .* got '{slip}'"
    with pytest.raises(ConfigError, match=said):
        load_experiment(path, [f"variations.{key}={slip}"])


def test_a_list_where_one_number_is_needed_is_told_as_it_was_written(tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    with pytest.raises(ConfigError, match=r"swap.swap.batch_size must be a whole number, got \['small_batch'\]"):
        load_experiment(path, ["variations.swap.swap.batch_size=[small_batch]"])


def test_a_size_of_a_regime_that_is_not_there_is_refused(make):
    with pytest.raises(
        ValueError, match=r"variations.big.swap.batch_size must be .* one of the regimes \['large_batch'\]"
    ):
        make(
            regimes={"large_batch": {"batch_size": 40}},
            variations={"big": {"batch_size": "large_batch", "swap": {"batch_size": "small_batch", "epochs": 1}}},
        )


@pytest.mark.parametrize(
    "key, value",
    [
        ("swap.training", "{learning_rate: small_batch}"),
        ("swap.training", "{epochs: small_batch}"),
        ("swap.swap.workers", "small_batch"),
        ("swap.augmentation", "{rotation: small_batch}"),
        ("noise.method.sigma", "small_batch"),
        ("ghosts.start.epochs", "[small_batch]"),
    ],
)
def test_what_counts_no_examples_of_a_batch_takes_no_regimes_name(tmp_path, key, value):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    with pytest.raises(ConfigError, match=rf"variations.{key}.* must be a (whole )?number, got 'small_batch'"):
        load_experiment(path, [f"variations.{key}={value}"])


@pytest.mark.parametrize(
    "key, value", [("regimes.small_batch.batch_size", "2%"), ("variations.swap.swap.batch_size", "large_batch")]
)
def test_a_share_of_a_regime_where_a_number_is_needed_is_named_with_its_regime(tmp_path, key, value):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    line = r"swap.swap.batch_size must be a whole number, and that of (small|large)_batch is '(2|10)%'; give it, or reg"
    with pytest.raises(ConfigError, match=rf"override {key}={value}: variations.{line}"):
        load_experiment(path, [f"{key}={value}"])


@pytest.mark.parametrize("value", ["null", "3", "{}", "{small_batch: 20}", "{small_batch: {batch_size: small_batch}}"])
def test_what_is_wrong_with_the_regimes_is_said_of_them_and_of_no_variation(tmp_path, value):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    with pytest.raises(ConfigError, match=rf"override regimes={value}: regimes[a-z_.]* must [^:]*\Z"):
        load_experiment(path, [f"regimes={value}"])


@pytest.mark.parametrize("value", ["3", "abc"])
def test_names_are_taken_of_variations_alone(tmp_path, value):
    path = tmp_path / "named.yaml"
    path.write_text(NAMED)
    with pytest.raises(ConfigError, match=r"variations must be .*a section of keys"):
        load_experiment(path, [f"variations={value}", "variations=[a]"])


def test_a_start_needs_its_regime(make):
    with pytest.raises(ValueError, match=r"variations.warm.start.regime must be one of the regimes"):
        make(
            regimes={"large_batch": {"batch_size": 40}},
            variations={"warm": {"batch_size": 8, "start": {"epochs": [0]}}},
        )


@pytest.mark.parametrize("name", ["timit", "timit_sample"])
def test_the_free_sample_of_timit_is_called_what_it_is(experiment, name):
    speech = {"utterances": 160, "states": 1500}
    dataset = SimpleNamespace(name=name, train=[0] * 80, provenance={"timit": speech})
    told = reductions(experiment(training={"epochs": 100}), dataset, 80)[3:]
    assert [remark.text for remark in told] == (
        ["The free sample of TIMIT: 160 utterances, 1,500 states"] if name == "timit_sample" else []
    )


def test_what_starts_after_training_ended_is_passed_over(make, drawings):
    """A patience of one epoch and an improvement that cannot be had end training after the first."""
    study = make(
        variations={"warm_start": {"batch_size": "50%", "start": {"epochs": [1, 9]}}},
        training={"epochs": 9, "patience": 1, "min_improvement": 0.999},
        sharpness={**MEASURES, "epochs": [1, 9]},
    )
    reporter = Reporter()
    reasons = []
    reporter.passed_over = lambda step, reason: reasons.append(reason)
    tables = run(study, reporter)
    assert "F1-digits-small_batch-seed0 ended with epoch 1, before epoch 9" in reasons and len(reasons) >= 3
    assert "warm_start_1" in set(tables.minima["regime"])
    assert not list(study.folder.rglob("*.ckpt"))

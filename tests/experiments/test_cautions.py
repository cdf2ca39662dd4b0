"""What would decide a verdict without being asked is refused, or said before anything runs and kept."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from flatmin.core.cuts import small_tail
from flatmin.core.errors import ConfigError
from flatmin.data.batches import resolved_size
from flatmin.experiments import run
from flatmin.experiments.loading import load_experiment
from flatmin.experiments.training_step import at_chance
from flatmin.results import Tables
from flatmin.results.remarks import Remark, remarks


def test_a_small_last_batch_is_named_with_a_size_that_leaves_none(make):
    study = make(regimes={"small_batch": {"batch_size": 13}, "large_batch": {"batch_size": 40}})
    assert study.cautions == [Remark("Batches of 13 leave a last one of 2 in each epoch; 14 would not")]


def test_no_caution_where_tails_are_large_or_absent(make):
    assert make().cautions == []


def test_variations_and_partitions_are_looked_at_too(make):
    study = make(
        variations={"sizes": {"batch_size": [39, 20]}},
        sharpness={"batch_size": 39, "spaces": ["full"]},
        slices={"batch_size": 39, "examples": 60},
    )
    assert study.cautions == [
        Remark("Batches of 39 leave a last one of 2 in each epoch; 40 would not"),
        Remark("Sharpness in batches of 39 end with one of 2 of 80 training examples", "sharpness"),
        Remark("Sharpness in batches of 39 end with one of 9 of 360 test examples", "sharpness"),
    ]


def test_a_search_on_few_examples_is_said_to_be_too_high(make):
    told = "Sharpness on fewer than 5,000 examples is biased upwards: the worst point is theirs"
    assert make(sharpness={"examples": 20}).cautions == [Remark(told, "sharpness")]
    assert make(sharpness={"subsets": [20]}).cautions == []


@pytest.mark.parametrize(
    ("variation", "why"),
    [
        ({"method": {"name": "gradient_noise", "like": 40}}, "the noise of batches of 40 adds none to batches of 40"),
        ({"method": {"name": "gradient_noise", "like": 20}}, ""),
        ({"method": {"name": "gradient_noise", "like": 40, "sigma": 0.5}}, ""),
        ({"method": {"name": "sam", "m": 50}}, "m = 50 takes batches of 40 whole, as without it"),
        ({"method": {"name": "sam", "m": 20}}, ""),
        ({"training": {"ghost_batch_norm": 30}}, "ghosts of 30 leave batches of 40 whole"),
        ({"training": {"ghost_batch_norm": 20}}, ""),
        ({"training": {"growing_batch": {"epochs": [500]}}}, "the batch grows after 500 epochs, of"),
    ],
)
def test_a_remedy_that_does_nothing_with_the_batches_there_are_is_named(make, variation, why):
    found = make(variations={"tried": {"batch_size": 40} | variation}).cautions
    assert [remark.text.startswith(f"Without effect in tried: {why}") for remark in found] == [True] * bool(why)


@pytest.mark.parametrize("large", [16, 8])
def test_a_large_batch_that_is_not_larger_is_refused(make, large):
    regimes = {"small_batch": {"batch_size": 16}, "large_batch": {"batch_size": large}}
    with pytest.raises(ConfigError, match=rf"must be above the small batch of 16, got {large} of 80 examples; set"):
        make(regimes=regimes)


def test_cautions_stand_in_the_provenance(make, drawings):
    study = make(regimes={"small_batch": {"batch_size": 13}, "large_batch": {"batch_size": 40}})
    tables = run(study)
    for found in (tables, Tables.read(study.folder / "tables")):
        assert found.provenance["cautions"][0].keys() == {"text", "concerns"}
        assert remarks(found.provenance, "cautions") == study.cautions


def test_a_network_that_has_learnt_nothing_has_no_minimum(make, drawings):
    tables = run(make(training={"epochs": 1, "learning_rate": 1e-12}, seeds=[0, 1]))
    assert Counter(tables.minima["status"]) == {"chance": 4}


def test_chance_is_the_share_of_the_commonest_class():
    targets = torch.tensor([0] * 700 + [1] * 300)
    assert at_chance(0.70, targets) and at_chance(0.74, targets)
    assert not at_chance(0.75, targets)


def test_subsets_are_searched_at_minima_in_the_full_space_alone(make):
    study = make(
        sharpness={
            "methods": ["paper"],
            "batch_norm": ["batch"],
            "subsets": [20, 80],
            "draws": 1,
            "subspace_dim": 5,
            "epochs": [1],
        }
    )
    found = Counter(
        (step.setup["examples"], step.setup["subspace_dim"], step.setup["epoch"])
        for step in study.steps
        if step.kind == "sharpness"
    )
    assert found == {(80, None, None): 2, (80, None, 1): 2, (80, 5, None): 2, (80, 5, 1): 2, (20, None, None): 2}
    with pytest.raises(ValueError, match=r"sharpness\.subsets must be at most data\.examples \(80\), got 90"):
        make(sharpness={"subsets": [90]})


def test_a_search_tells_what_its_worst_point_does_elsewhere(make, drawings):
    study = make(sharpness={"methods": ["paper"], "batch_norm": ["batch"], "spaces": ["full"], "subsets": [20]})
    rows = run(study).sharpness
    few, all_of_them = rows[rows["examples"] == 20], rows[rows["examples"] == 80]
    assert (few["standard_error"] > 0).all() and (all_of_them["standard_error"] == 0).all()
    assert few["heldout_sharpness"].notna().all() and all_of_them["heldout_sharpness"].isna().all()
    assert rows["test_sharpness"].notna().all() and (rows["gradient_norm"] > 0).all()
    assert (few["partition"] == 20).all() and (all_of_them["partition"] == 80).all()


def test_less_in_a_larger_box_is_not_converged(make, drawings, monkeypatch):
    values = {5e-4: 9.0, 1e-3: 4.0, 2e-3: 9.5}

    def search(objective, *, epsilon, **options):
        found = {"epsilon": epsilon, "sharpness": values[epsilon], "base_loss": 0.1, "worst_loss": 0.2}
        found |= {"evaluations": 1, "share_at_bound": 0.0, "perturbation_norm": 0.0, "spread": 0.0, "converged": True}
        zero = torch.zeros_like(objective.theta)
        return SimpleNamespace(
            sharpness=values[epsilon],
            worst_loss=0.2,
            coordinates=zero,
            perturbation=zero,
            to_record=lambda: dict(found),
        )

    monkeypatch.setattr("flatmin.sharpness.epsilon_sharpness", search)
    rows = run(
        make(sharpness={"methods": ["paper"], "batch_norm": ["batch"], "spaces": ["full"], "epsilons": [*values]})
    ).sharpness
    assert list(rows["converged"]) == [True, False, True] * 2


def test_tables_alone_where_nothing_is_to_be_drawn(make, drawings):
    study = make()
    run(study)
    assert drawings == [] and (study.folder / "tables" / "provenance.json").exists()
    run(study, draw=study.kind.draw)
    assert len(drawings) == 1


SHIPPED = (Path(__file__).parents[2] / "experiments").glob("*.yaml")
EXPERIMENTS = sorted(path for path in SHIPPED if load_experiment(path).kind == "comparison")
PUBLISHED = {"digits": 1437, "mnist": 60_000, "cifar10": 50_000, "cifar100": 50_000, "timit": 721_329}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_no_shipped_experiment_leaves_a_small_last_batch(path):
    experiment = load_experiment(path)
    examples = PUBLISHED[experiment.data.name]
    sizes = [regime.batch_size for regime in experiment.regimes.values()]
    for variation in experiment.variations.values():
        sizes += variation.batch_size if isinstance(variation.batch_size, tuple) else [variation.batch_size]
    assert not [size for size in sizes if small_tail(examples, resolved_size(size, examples))]


def test_boxes_too_small_for_float32_are_named(make):
    study = make(sharpness={"epsilons": [1e-3, 1e-7], "spaces": ["full"]}, effort={"epsilons": [1e-8]})
    told = "in a box of {} is decided by rounding: float32 tells too few points apart"
    assert [remark.text for remark in study.cautions] == [
        "Sharpness " + told.format("1e-07"),
        "Effort of the search " + told.format("1e-08"),
    ]

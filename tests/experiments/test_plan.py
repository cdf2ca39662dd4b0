"""Which steps an experiment becomes, and what is refused before anything runs."""

from collections import Counter

import pytest

from flatmin.core.errors import ConfigError
from flatmin.experiments.registry import IMAGES_32


def counts(study):
    return Counter(step.kind for step in study.steps)


def test_every_combination_once(make):
    study = make(measured=True, seeds=[0, 1, 2])
    assert counts(study) == {"trained": 6, "sharpness": 6 * 2, "slices": 3 * (4 + 2) + 3}
    assert len({(step.kind, step.label) for step in study.steps}) == len(study.steps)
    assert len({study.workplace.record(step).id for step in study.steps}) == len(study.steps)


def test_what_a_step_needs_comes_before_it(make):
    done = []
    for step in make(measured=True, seeds=[0, 1]).steps:
        assert all(need in done for need in step.needs)
        done.append(step)


def test_one_regime_has_no_paths_and_no_plane_through_three_points(make):
    study = make(measured=True, regimes={"large_batch": {"batch_size": "10%"}})
    assert counts(study) == {"trained": 1, "sharpness": 2, "slices": 2}


def test_planes_of_the_named_seeds(make):
    study = make(seeds=[0, 1, 2], slices={"paths": None, "random_lines": None, "planes": {"seeds": [2, 1]}})
    planes = [step for step in study.steps if step.kind == "slices"]
    assert Counter(step.facts["seed"] for step in planes) == {1: 3, 2: 3}


def test_percentage_is_of_the_examples_used(make):
    sizes = [step.facts["batch_size"] for step in make().steps]
    assert sizes == [16, 40]


def test_name_and_place_of_computing_fix_no_number(make):
    names = ({"name": "tiny"}, {"name": "other", "about": "Elsewhere.", "resources": {"device": "auto"}})
    first, second = ([study.workplace.record(step).id for step in study.steps] for study in (make(**n) for n in names))
    assert first == second


def test_reduced_settings_are_told(make):
    planes = {"grid": [-1.0, 1.0, 3], "points": 3, "examples": 10}
    told = make(sharpness={"examples": 20}, slices={"examples": 40, "planes": planes}).reduced
    assert [remark.text for remark in told] == [
        "F1 with 4 units a layer, not 512",
        "Small batch of 16, not 256",
        "Large batch of 50%, not 10%",
        "Trained for 1 of 100 epochs",
        "Trained on the first 80 of 1,437 examples",
        "Sharpness on the first 20 of 80 training examples",
        "Slices on the first 40 of 80 training examples",
        "Planes on the first 10 of 80 training examples",
    ]
    assert [remark.concerns for remark in told] == [*["everything"] * 5, "sharpness", "lines", "planes"]
    whole = {"data": {"name": "digits"}, "network": {"name": "F1"}, "training": {"epochs": 100}}
    assert make(**whole, regimes={"large_batch": {"batch_size": "10%"}}).reduced == []
    assert make(**whole, regimes={"small_batch": {"batch_size": 256}}).reduced == []


WHOLE = {"data": {"name": "digits"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {**WHOLE, "regimes": {"small_batch": {"batch_size": 2000}}},
            r"regimes.small_batch.batch_size must be at most the 1437 training examples, got 2000\.",
        ),
        ({**WHOLE, "sharpness": {"examples": 1438}}, "sharpness.examples must be at most the 1437 .*, got 1438"),
        ({"data": {"name": "digits", "examples": 2000}}, "data.examples must be at most the 1437 of digits, got 2000"),
        (
            {"regimes": {"small_batch": {"batch_size": 40}, "large_batch": {"batch_size": "50%"}}},
            r"regimes.large_batch.batch_size must be above the small batch of 40, got 40 of 80 examples; set",
        ),
        ({"sharpness": {"subspace_dim": 9999}}, r"sharpness.subspace_dim must be at most the network's \d+ weights"),
        ({"resources": {"device": "cuda:99"}}, "resources.device is 'cuda:99', but torch sees"),
    ],
)
def test_what_does_not_fit_is_refused(make, changes, message):
    with pytest.raises(ConfigError, match=message):
        make(**changes)


@pytest.mark.parametrize("name", IMAGES_32)
def test_network_for_other_inputs_is_refused(make, name):
    with pytest.raises(ConfigError, match=f"network {name} takes inputs of 3 x 32 x 32, digits has 1 x 8 x 8; use F1"):
        make(network={"name": name})

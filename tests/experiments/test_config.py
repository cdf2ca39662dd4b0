from dataclasses import FrozenInstanceError
from typing import get_args

import pytest
from pydantic import ValidationError

from flatmin.data import NAMES
from flatmin.data.batches import resolved_size
from flatmin.experiments.setups import Data
from flatmin.networks import __all__ as NETWORKS
from flatmin.networks.choice import Network
from flatmin.studies.comparison.settings import Comparison, Regime


def test_names_are_those_of_the_data_sets_and_networks_there_are():
    assert set(NAMES) == set(get_args(Data.model_fields["name"].annotation))
    names = get_args(Network.model_fields["name"].annotation)
    assert set(NETWORKS) == {*names, *(f"Lightning{name}" for name in names)}


@pytest.mark.parametrize("size", [1, 256, "10%", "0.5%", ".5%", "100%"])
def test_a_batch_size_that_is_accepted_can_be_resolved(size):
    assert 1 <= resolved_size(Regime(batch_size=size).batch_size, 1437) <= 1437


def test_a_name_may_stand_for_data_and_network():
    short = Comparison.model_validate({"name": "fig3", "data": "digits", "network": "C1"})
    long = Comparison.model_validate({"name": "fig3", "data": {"name": "digits"}, "network": {"name": "C1"}})
    assert short == long


def test_an_experiment_does_not_change():
    experiment = Comparison.model_validate({"name": "fig3", "data": "mnist", "network": "F1"})
    with pytest.raises(ValidationError, match="frozen"):
        experiment.seeds = (3,)
    with pytest.raises(FrozenInstanceError):
        experiment.training.epochs = 3
    assert Comparison.model_validate(experiment.model_dump()) == experiment

"""A training that kept more networks of its way than are asked for is not done again."""

from collections import Counter

import pytest

from flatmin.experiments import Reporter, run

EPOCHS = {"training": {"epochs": 4}}
MEASURE = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20}
WARM = {"warm_start": {"batch_size": "large_batch", "start": {"regime": "small_batch", "epochs": [2]}}}


class Listener(Reporter):
    def __init__(self):
        self.done = Counter()

    def ended(self, step, record):
        self.done[step.kind] += 1


@pytest.fixture
def did(make):
    """Runs a tiny study and says how many steps of each kind it did, and the files of its tables."""

    def ran(*, epochs=None, **changes):
        study, listener = make(**EPOCHS, sharpness=MEASURE | {"epochs": epochs}, **changes), Listener()
        run(study, listener)
        return dict(listener.done), {path.name: path.read_bytes() for path in (study.folder / "tables").glob("*.csv")}

    return ran


@pytest.mark.parametrize("variations", [{}, WARM])
@pytest.mark.parametrize("fewer", [None, [1], [0, 3]])
def test_fewer_epochs_train_and_measure_nothing_again_and_leave_the_tables_of_a_run_of_their_own(
    fewer, variations, did
):
    did(epochs=[0, 1, 3], variations=variations)
    done, tables = did(epochs=fewer, variations=variations)
    assert done == {}
    _, alone = did(name="alone", epochs=fewer, variations=variations)
    assert tables == alone


def test_an_epoch_that_was_not_kept_trains_again_once(did):
    did(epochs=[0, 1])
    assert did(epochs=[1, 2])[0]["trained"] == 2
    assert did(epochs=[2])[0] == did(epochs=[1, 2])[0] == did(epochs=[0])[0] == {}


def test_a_variation_from_an_epoch_that_a_measure_had_kept_goes_out_from_that_very_training(did):
    did(epochs=[1, 2])
    assert did(variations=WARM)[0] == {"trained": 1, "sharpness": 1}


def test_a_training_that_kept_just_what_is_asked_for_is_taken_before_one_that_kept_more(did):
    did(seeds=[0])
    did(seeds=[1, 2], epochs=[1])
    assert did(seeds=[0])[0] == {}


def test_seeds_share_what_they_keep_so_that_their_tables_are_of_one_experiment(did):
    did(seeds=[0], epochs=[1])
    assert did(seeds=[0])[0] == {}
    _, tables = did(seeds=[1])
    again, both = did(seeds=[0, 1])
    assert again == {} and tables == both


def test_another_way_of_training_serves_nobody(did):
    did(epochs=[1])
    for change in ({"regimes": {"small_batch": {"batch_size": 20}}}, {"network": {"name": "F1", "width": 5}}):
        assert did(**change)[0]["trained"] == len(change.get("regimes", "ab"))

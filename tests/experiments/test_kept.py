"""A training that kept more networks of its way than are asked for is not done again."""

import time
from collections import Counter

import pytest

from flatmin.experiments import Reporter, Study, run
from flatmin.results import Store
from flatmin.studies.remedies.settings import Remedies

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


@pytest.mark.parametrize("variations", [{}, WARM])
def test_a_study_that_is_done_stays_done_when_another_has_trained_more_seeds(variations, did):
    one = {"seeds": [0], "variations": variations, "top_eigenvalue": {}}
    did(**one)
    did(seeds=[0, 1], epochs=[1, 2])
    assert did(**one)[0] == {}


def test_a_study_that_was_served_stays_done_too(did):
    one = {"seeds": [0], "top_eigenvalue": {}}
    did(seeds=[0], epochs=[1, 3])
    did(**one)
    time.sleep(1.1)  # a record says in seconds when it ended
    did(seeds=[0, 1], epochs=[1])
    assert did(**one)[0] == {}


def test_what_was_trained_under_another_name_serves_nobody_for_it_is_not_found(did):
    did(seeds=[0], regimes={"small_batch": {"batch_size": 16}})
    did(seeds=[0, 1], epochs=[1], regimes={"small_batch": {"batch_size": 8}, "large_batch": {"batch_size": 16}})
    assert did(seeds=[0], regimes={"small_batch": {"batch_size": 16}})[0] == {}


def test_a_killed_training_goes_on_though_another_process_has_kept_more_of_another_seed(did, make):
    class Kill(Reporter):
        def advanced(self, step, share):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study := make(**EPOCHS, seeds=[0], sharpness=MEASURE), Kill())
    did(seeds=[1], epochs=[1])
    did(seeds=[0])
    killed = study.steps[0]
    trained = [record for record in study.workplace.store.records(killed.kind) if record.label == killed.label]
    assert [record.state for record in trained] == ["finished"]


def test_remedies_and_a_comparison_in_one_folder_have_the_tables_of_folders_of_their_own(experiment, tmp_path):
    settings = {**EPOCHS, "sharpness": MEASURE | {"epochs": [1]}, "variations": {"middle": {"batch_size": 20}}}
    comparison = experiment(**settings)
    remedies = Remedies.model_validate(comparison.model_dump() | {"kind": "remedies", "tuning": None})

    def tables(*studies):
        for each in studies:
            study = Study.of(each, results=tmp_path / "-".join(each.kind for each in studies))
            run(study)
        files = {path.name: path.read_bytes() for path in (study.folder / "tables").glob("*.csv")}
        return files | ({"ways.csv": b"seconds, which vary"} if "ways.csv" in files else {})

    assert tables(comparison, remedies) == tables(remedies)
    assert tables(remedies, comparison) == tables(comparison)


def test_a_record_of_the_users_own_is_no_training(did, make):
    Store(make().folder).record("trained", "own", {"weights": "mine"}).save({"loss": 0.5})
    assert did()[0] == {"trained": 2, "sharpness": 2}

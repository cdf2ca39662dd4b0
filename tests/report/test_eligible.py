import math

from flatmin.report.eligible import disorder, eligible, left_out, unfitted, without_minimum
from flatmin.report.published import LARGE, SMALL


def trainings(study, *rows):
    """A study with rows of (regime, seed, training accuracy, status)."""
    names = ("regime", "seed", "train_accuracy", "status")
    return study(minima=[dict(zip(names, row, strict=True)) for row in rows])


def test_trainings_without_minimum_are_counted_by_how_they_ended(study):
    own = trainings(
        study,
        (SMALL, 0, 0.99, "finished"),
        (LARGE, 0, math.nan, "diverged"),
        (LARGE, 1, 0.1, "chance"),
        (LARGE, 2, 0.1, "chance"),
        ("conservative", 0, 0.1, "chance"),
    )
    pair = (SMALL, LARGE)
    assert left_out(own, pair) == "left out: large batch, 1 seed diverged; large batch, 2 seeds at chance"
    assert left_out(own, (SMALL,)) == ""
    assert eligible(own).tables.minima["regime"].tolist() == [SMALL]


def test_only_a_regime_that_was_trained_can_lack_its_minimum(study):
    own = trainings(study, (SMALL, 0, 0.99, "finished"), (LARGE, 0, 0.1, "chance"), (LARGE, 1, 0.99, "finished"))
    assert without_minimum(own, (SMALL, LARGE)) == ""
    own = trainings(study, (SMALL, 0, 0.99, "finished"), (LARGE, 0, 0.1, "chance"))
    assert without_minimum(own, (SMALL, LARGE)) == "left out: large batch, 1 seed at chance"
    assert without_minimum(own, (SMALL, LARGE, "conservative")) == ""


def test_fitted_is_98_per_cent_of_the_training_set_at_every_seed(study):
    own = trainings(study, (SMALL, 0, 0.98, "finished"), (LARGE, 0, 0.99, "finished"), (LARGE, 1, 0.9796, "finished"))
    assert unfitted(own, (SMALL, LARGE)) == "not fitted: large batch down to 97.96 % in 1 of 2 seeds"
    assert unfitted(own, (SMALL,)) == unfitted(own, ("conservative",)) == ""


def test_one_regime_alone_is_in_order(study):
    assert disorder(trainings(study, (LARGE, 0, 0.99, "finished"))) == disorder(study()) == ""

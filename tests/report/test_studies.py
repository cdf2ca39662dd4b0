import pytest

from flatmin.core.errors import ResultsError
from flatmin.report.studies import StudyResults, load_studies, main_studies, told_apart
from flatmin.results import Tables
from flatmin.results.remarks import Remark


@pytest.fixture
def write(tmp_path):
    def written(study: StudyResults, place: str) -> None:
        study.tables.write(tmp_path / place)

    return written


def test_label_says_what_a_study_is(study, both):
    rows = both("test_accuracy", [0.8], [0.7], epochs=30)
    assert study("x", "C1", "cifar10", variant="paper", minima=rows).label == (
        "C1 (text strides), CIFAR-10, 30 epochs, 1 seed"
    )
    rows = both("test_accuracy", [0.8, 0.9], [0.7])
    assert study("x", "C1", "cifar10", minima=rows).label == "C1 (code strides), CIFAR-10, 100 epochs, 1–2 seeds"
    assert study("x", "F1", minima=rows).label == "F1, MNIST, 100 epochs, 1–2 seeds"
    narrow = {"network": {"name": "F1", "width": 256}}
    assert study("x", "F1", minima=rows, experiment=narrow).label == "F1 (256 wide), MNIST, 100 epochs, 1–2 seeds"


def test_a_sample_stands_for_its_corpus_but_is_not_it(study, both):
    rows = both("test_accuracy", [0.5], [0.4], data="timit_sample")
    sample = study("keskar_f2", "F2", "timit", minima=rows)
    assert "TIMIT sample" in sample.label
    assert (sample.on_the_papers_data, sample.on_their_kind) == (False, True)
    digits = study("quickstart", "F1", "digits")
    assert (digits.on_the_papers_data, digits.on_their_kind) == (False, False)


def test_diverged_networks_are_no_seeds(study, both):
    rows = [*both("test_accuracy", [0.8, 0.8], [0.7]), {"regime": "large_batch", "seed": 5, "status": "diverged"}]
    assert study(minima=rows).seeds == [0, 1]


def test_every_kind_of_folder_is_found(study, write, tmp_path):
    write(study("a", "C2", "cifar10"), "frozen/a")
    write(study("b"), "frozen/b/tables")
    (tmp_path / "frozen" / "notes").mkdir()
    assert [one.name for one in load_studies([tmp_path / "frozen"])[0]] == ["b", "a"]
    assert [one.name for one in load_studies([tmp_path / "frozen" / "b"])[0]] == ["b"]
    assert [one.name for one in load_studies([tmp_path / "frozen" / "b" / "tables"])[0]] == ["b"]


def test_bad_folders_say_what_is_wrong(study, both, write, tmp_path):
    with pytest.raises(ResultsError, match=r"no results at .*absent; name a study"):
        load_studies([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match=r"empty holds no study: there must be tables"):
        load_studies([tmp_path / "empty"])
    write(study("a", minima=both("test_accuracy", [0.8], [0.7])), "frozen/a")
    (tmp_path / "frozen" / "a" / "provenance.json").unlink()
    with pytest.raises(ResultsError, match=r"a holds no complete tables: provenance\.json"):
        load_studies([tmp_path / "frozen"])
    write(study("a"), "one/a")
    write(study("a"), "other/a")
    with pytest.raises(ResultsError, match=r"two studies are named a, the second is .*other"):
        load_studies([tmp_path / "one", tmp_path / "other"])


def test_provenance_without_an_experiment_is_refused():
    with pytest.raises(ResultsError, match=r"the provenance of x must have experiment\.network\.name"):
        StudyResults("x", Tables(provenance={"experiment": {"name": "x"}}))
    setup = {"network": {"name": "G1"}, "data": {"name": "mnist"}}
    with pytest.raises(ResultsError, match=r"the network of x must be one of F1, .*, got 'G1'"):
        StudyResults("x", Tables(provenance={"experiment": setup}))


def test_studies_of_the_pair_come_before_those_made_for_other_figures(study, both):
    rows = both("test_accuracy", [0.8], [0.7])
    plain = study("keskar_f1", minima=rows)
    varied = study("remedies_f1", minima=rows, experiment={"variations": {"conservative": {}}})
    on_the_way = study("fig6_c1", "C1", "cifar10", minima=rows, experiment={"sharpness": {"epochs": [0, 1]}})
    untrained = study("keskar_c2", "C2", "cifar10")
    assert main_studies([varied, on_the_way, untrained, plain]) == [plain, on_the_way]


def test_commits_and_reductions(study):
    found = study(reduced=("Sharpness on the first 5,000 examples.",))
    assert found.commits == ["abc123"]
    assert found.reduced == [Remark("Sharpness on the first 5,000 examples", "sharpness")]


OWN_NAMES = {
    "rotated": ({"augmentation": {"rotation": 10}}, 6000, "large_batch_augmented"),
    "rotated_small": ({"augmentation": {"rotation": 10}}, 256, "small_batch_augmented"),
    "proximal": ({"method": {"name": "conservative"}}, 6000, "conservative"),
    "sam": ({"method": {"name": "robust"}}, 6000, "robust"),
    "sam_twice": ({"method": {"name": "robust"}}, 6000, "sam_twice"),
    "adversarial": ({"method": {"name": "stability"}}, 6000, "stability"),
    "stability": ({}, 6000, "stability_variation"),
    "both": ({"augmentation": {"rotation": 10}, "method": {"name": "adversarial"}}, 6000, "both"),
    "other_size": ({"augmentation": {"rotation": 10}}, 1000, "other_size"),
}


def test_a_remedy_is_known_by_what_it_is_not_by_what_it_is_called(study, both, write, tmp_path):
    rows = both("test_accuracy", [0.8], [0.7]) + [
        {"regime": name, "seed": 0, "batch_size": size, "test_accuracy": 0.75}
        for name, (_, size, _) in OWN_NAMES.items()
    ]
    phi = [{"regime": name, "seed": 0, "sharpness": 5.0} for name in OWN_NAMES]
    variations = {name: {"batch_size": size} | what for name, (what, size, _) in OWN_NAMES.items()}
    write(study("own", minima=rows, sharpness=phi, experiment={"variations": variations}), "own")
    ((found,), _) = load_studies([tmp_path / "own"])
    expected = [name for _, _, name in OWN_NAMES.values()]
    assert [*found.tables.minima["regime"][2:]] == [*found.tables.sharpness["regime"]] == expected


def test_of_two_remedies_of_one_kind_the_one_with_its_name_has_it(study, both, write, tmp_path):
    names = ("first", "robust")
    rows = [{"regime": name, "seed": 0, "batch_size": 6000, "test_accuracy": 0.75} for name in names]
    variations = {name: {"batch_size": "10%", "method": {"name": "robust"}} for name in names}
    own = study("own", minima=both("test_accuracy", [0.8], [0.7]) + rows, experiment={"variations": variations})
    write(own, "own")
    ((found,), _) = load_studies([tmp_path / "own"])
    assert [*found.tables.minima["regime"][2:]] == ["first", "robust"]


def test_studies_of_one_label_are_told_apart_by_their_names(study, both):
    alike = [study(name, "F1", minima=both("test_accuracy", [0.8], [0.7])) for name in ("fig5", "fig6")]
    other = study("fig4", "F1", minima=both("test_accuracy", [0.8] * 3, [0.7] * 3))
    labels = told_apart([*alike, other])
    assert labels == {one.name: f"{one.label}, {one.name}" for one in alike} | {"fig4": other.label}

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flatmin.core.errors import ConfigError
from flatmin.core.fields import known_keys
from flatmin.experiments.config import Resources, Wandb
from flatmin.experiments.loading import load_experiment
from flatmin.experiments.setups import Data
from flatmin.experiments.slices import Grid, Paths, Planes, RandomLines, Slices
from flatmin.measures.sharpness import SharpnessSettings
from flatmin.networks.choice import Network
from flatmin.studies.comparison.settings import Comparison, Regime
from flatmin.training.settings import Training

SHIPPED = Path(__file__).resolve().parents[2] / "experiments"
LAUGHS = "a0: &a0 [l, l, l, l, l, l, l, l, l]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(8)
)
"""A file of 368 bytes that stands for 387 million values."""
BASE = "name: fig3\ndata: mnist\nnetwork: F1\n"
SIZES = "must be a whole number above 0 or a percentage like '10%'"
DATA = "data.name must be 'digits', 'mnist', 'cifar10', 'cifar100' or 'timit'"
NETWORK = "network.name must be 'F1', 'F2', 'C1', 'C2', 'C3' or 'C4'"
TOP = ", ".join(known_keys(Comparison))


@pytest.fixture
def load(tmp_path):
    """Writes `fig3.yaml` and loads it."""

    def load(text, *overrides):
        path = tmp_path / "fig3.yaml"
        path.write_text(text, encoding="utf-8")
        return load_experiment(path, overrides)

    return load


def message(load, *arguments):
    with pytest.raises(ConfigError, match=r"\A.+\Z") as caught:
        load(*arguments)
    return str(caught.value)


def test_what_is_left_out_is_the_papers_protocol(load):
    experiment = load(BASE)
    assert experiment == Comparison(
        name="fig3",
        about="",
        data=Data(name="mnist", examples=None, verify=True),
        network=Network(name="F1", variant="code"),
        seeds=(0, 1, 2, 3, 4),
        regimes={"small_batch": Regime(batch_size=256), "large_batch": Regime(batch_size="10%")},
        training=Training(
            epochs=100,
            optimizer="adam",
            learning_rate=1e-3,
            momentum=0.0,
            patience=None,
            min_improvement=0.01,
            evaluation_batch_size=5000,
            precision="float32",
        ),
        sharpness=SharpnessSettings(
            epsilons=(1e-3, 5e-4),
            methods=("paper", "strong"),
            batch_norm=("batch", "running"),
            spaces=("full", "random"),
            subspace_dim=100,
            distributions=("normal",),
            draws=5,
            epochs=None,
            examples=None,
            batch_size=5000,
        ),
        effort=None,
        slices=Slices(
            paths=Paths(alphas=Grid(low=-1, high=2, points=49), curves=("linear", "curved"), batch_norm=("batch",)),
            random_lines=RandomLines(alphas=Grid(low=-1, high=1, points=51), batch_norm=("batch",)),
            planes=Planes(
                kinds=("random", "three_points"),
                grid=Grid(low=-1, high=1, points=25),
                margin=0.3,
                points=25,
                batch_norm=("batch",),
                seeds=None,
                examples=None,
            ),
            examples=None,
            batch_size=5000,
            splits=("train", "test"),
            engine="flatmin",
        ),
        resources=Resources(device="auto", wandb=Wandb(mode="offline", project="flatmin", entity=None)),
    )


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_experiment_loads_under_the_name_of_its_file(path):
    assert load_experiment(path).name == path.stem
    assert load_experiment(path, ["budget=0.05"]).budget == 0.05
    assert path.read_text().startswith("# ")


def test_keskar_f1_is_the_papers_protocol_on_mnist(load):
    shipped, default = load_experiment(SHIPPED / "keskar_f1.yaml"), load(BASE)
    same = {"name": "fig3", "about": "", "effort": None}
    assert shipped.model_copy(update=same) == default


def test_configuration_is_read_without_torch():
    code = (
        "import sys; from pathlib import Path; from flatmin.experiments import load_experiment; "
        f"load_experiment(Path({str(SHIPPED / 'remedies_f1.yaml')!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_absent_section_takes_its_defaults_and_null_switches_it_off(load):
    assert load(BASE).sharpness == SharpnessSettings()
    assert load(BASE + "sharpness: {}\n").sharpness == SharpnessSettings()
    assert load(BASE + "sharpness: {draws: 2}\n").sharpness == SharpnessSettings(draws=2)
    assert load(BASE + "sharpness: null\nslices: ~\n").model_dump()["sharpness"] is None
    assert load(BASE + "slices: {paths: null}\n").slices == Slices(paths=None)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("training: {learning_rate: 1e-2}", "training.learning_rate", 0.01),
        ("training: {learning_rate: 1E+0}", "training.learning_rate", 1.0),
        ("training: {learning_rate: .5}", "training.learning_rate", 0.5),
        ("training: {learning_rate: 1}", "training.learning_rate", 1.0),
        ("sharpness: {epsilons: [5e-4, 1e-3]}", "sharpness.epsilons", (0.0005, 0.001)),
        ("regimes: {large_batch: {batch_size: 10%}}", "regimes.large_batch.batch_size", "10%"),
        ("regimes: {large_batch: {batch_size: .5%}}", "regimes.large_batch.batch_size", ".5%"),
        ("regimes: {large_batch: {batch_size: 100%}}", "regimes.large_batch.batch_size", "100%"),
        ("slices: {paths: {alphas: [0, 1, 3]}}", "slices.paths.alphas", {"low": 0.0, "high": 1.0, "points": 3}),
        (
            "slices: {paths: {alphas: {low: 0, high: 1, points: 3}}}",
            "slices.paths.alphas",
            {"low": 0.0, "high": 1.0, "points": 3},
        ),
        ("about: no", "about", "no"),
        ("about: 2016-09-15", "about", "2016-09-15"),
        ("about: 12:30", "about", "12:30"),
        ("about: '1e-3'", "about", "1e-3"),
        ("about:", "about", ""),
        ("resources: {device: 'cuda:1'}", "resources.device", "cuda:1"),
        ("training: {optimizer: sgd, momentum: 0.9}", "training.momentum", 0.9),
        ("slices: {planes: {kinds: [random], batch_norm: [running]}}", "slices.planes.batch_norm", ("running",)),
    ],
)
def test_value_is_read(load, text, key, expected):
    found = load(f"{BASE}{text}\n").model_dump()
    for part in key.split("."):
        found = found[part]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # keys
        ("training: {lerning_rate: 1}", "unknown key 'lerning_rate' under training; did you mean 'learning_rate'?"),
        ("epochs: 3", "unknown key 'epochs'; did you mean 'training.epochs'?"),
        ("training: {sharpness: null}", "unknown key 'sharpness' under training; it belongs at the top level."),
        ("Seeds: [0]", "unknown key 'Seeds'; did you mean 'seeds'?"),
        (
            "variations: {c: {batch_size: 9, method: {name: conservative, rho: 1}}}",
            "unknown key 'rho' under variations.c.method; it belongs to another name there.",
        ),
        ("<<: {seeds: [0]}", f"unknown key '<<'; known: {TOP}."),
        (
            "slices: {paths: {alphas: {low: 0, high: 1, point: 3}}}",
            "unknown key 'point' under slices.paths.alphas; did you mean 'points'? "
            "Besides: slices.paths.alphas.points is missing.",
        ),
        (
            "regimes: {smal_batch: {batch_size: 3}}",
            "unknown key 'smal_batch' under regimes; did you mean 'small_batch'?",
        ),
        (
            "regimes: {small_batch: {batchsize: 3}}",
            "unknown key 'batchsize' under regimes.small_batch; did you mean 'batch_size'? "
            "Besides: regimes.small_batch.batch_size is missing.",
        ),
        ("regimes: {small_batch: {}}", "regimes.small_batch.batch_size is missing."),
        (
            "sharpness: {draws: 0}\ncolour: 1\nseeds: [a]",
            f"unknown key 'colour'; known: {TOP}. "
            "Besides: sharpness.draws must be at least 1, got 0. seeds[0] must be a whole number, got 'a'.",
        ),
        # kinds
        ("training: {epochs: many}", "training.epochs must be a whole number, got 'many'."),
        ("training: {epochs: 3.0}", "training.epochs must be a whole number, got 3.0."),
        ("training: {epochs: true}", "training.epochs must be a whole number, got true."),
        ("training: {epochs: 010}", "training.epochs must be a whole number, got '010'."),
        ("training: {epochs: null}", "training.epochs must be a whole number, got null."),
        ("training: {epochs: }", "training.epochs has no value; leave it out for its default."),
        ("training: {learning_rate: false}", "training.learning_rate must be a number, got false."),
        ("training: {learning_rate: '1e-3'}", "training.learning_rate must be a number, got '1e-3'."),
        ("training: 3", "training must be a section of keys, got 3."),
        ("training: null", "training must be a section of keys, got null."),
        ("sharpness:\n#  draws: 3", "sharpness has no value; leave it out for its default."),
        ("about: 3", "about must be text, got 3."),
        ("about: &a [*a]", "line 4 is not valid YAML: alias 'a' stands for a value that it is a part of."),
        ("about: &a [1, 2]\nseeds: *a", "about must be text, got [1, 2]."),
        ("seeds: 3", "seeds must be a list in brackets, got 3."),
        ("seeds: null", "seeds must be a list in brackets, got null."),
        ("seeds: [true]", "seeds[0] must be a whole number, got true."),
        ("slices: {splits: train}", "slices.splits must be a list in brackets, got 'train'."),
        ("regimes: [256]", "regimes must be a section of keys, got [256]."),
        ("regimes: {small_batch: 256}", "regimes.small_batch must be a section of keys, got 256."),
        ("slices: {paths: {alphas: 3}}", "slices.paths.alphas must be [low, high, points], got 3."),
        ("slices: {paths: {alphas: [0, 1]}}", "slices.paths.alphas must be [low, high, points], got [0, 1]."),
        ("slices: {paths: {alphas: [0, 1, 2.5]}}", "slices.paths.alphas.points must be a whole number, got 2.5."),
        ("resources: {wandb: online}", "resources.wandb must be a section of keys, got 'online'."),
        # bounds
        ("sharpness: {epsilons: [-0.001]}", "sharpness.epsilons[0] must be positive, got -0.001."),
        ("sharpness: {epsilons: [1e-3, 0]}", "sharpness.epsilons[1] must be positive, got 0."),
        ("sharpness: {epsilons: [.inf]}", "sharpness.epsilons[0] must be finite, got inf."),
        ("sharpness: {epsilons: [1e-3, 0.001]}", "sharpness.epsilons must not repeat an entry, got 0.001 twice."),
        ("sharpness: {methods: []}", "sharpness.methods must not be empty."),
        ("sharpness: {draws: 0}", "sharpness.draws must be at least 1, got 0."),
        ("sharpness: {subspace_dim: 0}", "sharpness.subspace_dim must be at least 1, got 0."),
        ("sharpness: {batch_size: 0}", "sharpness.batch_size must be at least 1, got 0."),
        ("training: {epochs: 0}", "training.epochs must be at least 1, got 0."),
        ("training: {patience: 0}", "training.patience must be at least 1, got 0."),
        ("training: {learning_rate: .nan}", "training.learning_rate must be finite, got nan."),
        ("training: {min_improvement: 1}", "training.min_improvement must be below 1, got 1."),
        ("training: {min_improvement: -1}", "training.min_improvement must be at least 0, got -1."),
        ("training: {optimizer: sgd, momentum: 1.0}", "training.momentum must be below 1, got 1.0."),
        ("seeds: []", "seeds must not be empty."),
        ("seeds: [1, 2, 1]", "seeds must not repeat an entry, got 1 twice."),
        ("seeds: [-1]", "seeds[0] must be at least 0, got -1."),
        ("seeds: [4294967296]", "seeds[0] must be below 4294967296, got 4294967296."),
        ("budget: 2", "budget must be at most 1, got 2."),
        ("budget: 0", "budget must be positive, got 0."),
        (
            "variations: {a: {batch_size: 8, method: careful}}",
            "variations.a.method must be one of adversarial, conservative, gradient_noise, robust, sam, stability, "
            "got 'careful'.",
        ),
        (
            "variations: {a: {batch_size: 8, method: {name: [1]}}}",
            "variations.a.method must be one of adversarial, conservative, gradient_noise, robust, sam, stability, "
            "got [1].",
        ),
        (
            "variations: {a: {batch_size: 8, method: {name: robust, rho: 0}}}",
            "variations.a.method.rho must be positive, got 0.",
        ),
        (
            "variations: {a: {batch_size: 8, augmentation: {rotation: 181, flipp: true}}}",
            "unknown key 'flipp' under variations.a.augmentation; did you mean 'flip'? "
            "Besides: variations.a.augmentation.rotation must be at most 180, got 181.",
        ),
        (
            "variations: {a: {batch_size: 8, augmentation: 10}}",
            "variations.a.augmentation must be a section of keys, got 10.",
        ),
        (
            "variations: {a: {batch_size: 8, method: {name: robust, rh: 1}}}",
            "unknown key 'rh' under variations.a.method; did you mean 'rho'?",
        ),
        (
            "variations: {a: {batch_size: [8, x]}}",
            "variations.a.batch_size must be a whole number above 0, a percentage like '10%' or one of the regimes "
            "['small_batch', 'large_batch'], got 'x'.",
        ),
        ("regimes: {}", "regimes must not be empty, got {}."),
        *(
            (
                f"regimes: {{small_batch: {{batch_size: {size}}}}}",
                f"regimes.small_batch.batch_size {SIZES}, got {shown}.",
            )
            for size, shown in [
                ("0%", "'0%'"),
                ("101%", "'101%'"),
                ("-5%", "'-5%'"),
                ("1/3%", "'1/3%'"),
                ("abc", "'abc'"),
                ("0", "0"),
                ("2.0", "2.0"),
                ("true", "true"),
            ]
        ),
        ("slices: {paths: {alphas: [1, 1, 3]}}", "slices.paths.alphas.high must be above its low end 1.0, got 1.0."),
        ("slices: {paths: {alphas: [0, 1, 1]}}", "slices.paths.alphas.points must be at least 2, got 1."),
        ("slices: {planes: {points: 1}}", "slices.planes.points must be at least 2, got 1."),
        ("slices: {planes: {margin: -0.5}}", "slices.planes.margin must be at least 0, got -0.5."),
        ("resources: {wandb: {project: ''}}", "resources.wandb.project has no value; leave it out for its default."),
        # choices
        (
            "training: {optimizer: adma}",
            "training.optimizer must be 'adam', 'sgd', 'adagrad', 'lars', 'lamb' or 'rmsprop_warm_up', got 'adma'; "
            "did you mean 'adam'?",
        ),
        (
            "slices: {splits: [train, tset]}",
            "slices.splits[1] must be 'train' or 'test', got 'tset'; did you mean 'test'?",
        ),
        (
            "resources: {device: gpu}",
            "resources.device must be 'auto', 'cpu', 'cuda' or one GPU such as 'cuda:0', got 'gpu'.",
        ),
        # settings that do not fit together
        (
            "training: {momentum: 0.9}",
            "training.momentum must be 0 with 'adam', got 0.9; only 'sgd', 'lars' and 'rmsprop_warm_up' use it.",
        ),
        (
            "slices: {planes: {batch_norm: [running]}}",
            "slices.planes.batch_norm must be 'batch' or 'reestimate' for a three_points plane, got 'running'; "
            "no running averages hold for all three points.",
        ),
        (
            "slices: {engine: loss-landscapes, paths: {batch_norm: [batch, interpolated]}}",
            "slices.engine must be 'flatmin' where paths.batch_norm has 'interpolated'.",
        ),
        ("slices: {planes: {seeds: [9]}}", "slices.planes.seeds must be among the seeds [0, 1, 2, 3, 4], got 9."),
        # YAML
        ("name: fig4", "line 4 is not valid YAML: key 'name' was already set on line 1."),
        ("training:\n  epochs: 1\n  epochs: 2", "line 6 is not valid YAML: key 'epochs' was already set on line 5."),
        ("1: 2", "line 4 is not valid YAML: a key must be text, got 1."),
        ("[1, 2]: 2", "line 4 is not valid YAML: a key must be text, got [1, 2]."),
        ("about: a: b", "line 4 is not valid YAML: mapping values are not allowed here."),
        ("\tseeds: [0]", r"line 4 is not valid YAML: found character '\t' that cannot start any token."),
        (
            "---\nname: fig4",
            "line 4 is not valid YAML: expected a single document in the stream, but found another document.",
        ),
        (LAUGHS, "line 8 is not valid YAML: its aliases stand for more than 10,000 values; write them out."),
        ("about: *there", "line 4 is not valid YAML: found undefined alias 'there'."),
        (
            "about: !!python/name:os.system ''",
            "line 4 is not valid YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'.",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(load, text, expected):
    assert message(load, f"{BASE}{text}\n") == f"fig3.yaml: {expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "fig3.yaml is empty; an experiment needs at least name, data and network."),
        ("# nothing\n", "fig3.yaml is empty; an experiment needs at least name, data and network."),
        ("- a\n- b\n", "fig3.yaml must hold keys with values such as 'name: fig3', got ['a', 'b']."),
        ("fig3\n", "fig3.yaml must hold keys with values such as 'name: fig3', got 'fig3'."),
        ("data: mnist\nnetwork: F1\n", "fig3.yaml: name is missing."),
        ("name: fig3\n", "fig3.yaml: data is missing. Besides: network is missing."),
        (
            "nam: fig3\ndata: mnist\nnetwork: F1\n",
            "fig3.yaml: unknown key 'nam'; did you mean 'name'? Besides: name is missing.",
        ),
        (
            "name: a/b\ndata: mnist\nnetwork: F1\n",
            "fig3.yaml: name must be up to 80 letters, digits, dots, dashes and underscores, no dot or dash first, "
            "got 'a/b'.",
        ),
        ("name: 3\ndata: mnist\nnetwork: F1\n", "fig3.yaml: name must be text, got 3."),
        ("name: fig3\ndata: minst\nnetwork: F1\n", f"fig3.yaml: {DATA}, got 'minst'; did you mean 'mnist'?"),
        ("name: fig3\ndata: imagenet\nnetwork: F1\n", f"fig3.yaml: {DATA}, got 'imagenet'."),
        ("name: fig3\ndata:\nnetwork: F1\n", "fig3.yaml: data.name has no value."),
        ("name: fig3\ndata: 3\nnetwork: F1\n", "fig3.yaml: data must be a name or a section of keys, got 3."),
        (
            "name: fig3\ndata: {name: mnist, verify: yes}\nnetwork: F1\n",
            "fig3.yaml: data.verify must be true or false, got 'yes'.",
        ),
        ("name: fig3\ndata: mnist\nnetwork: f1\n", f"fig3.yaml: {NETWORK}, got 'f1'; did you mean 'F1'?"),
        ("name: fig3\ndata: mnist\nnetwork: {name: Q, variant: paper}\n", f"fig3.yaml: {NETWORK}, got 'Q'."),
        (
            "name: fig3\ndata: mnist\nnetwork: {name: C2, variant: paper}\n",
            "fig3.yaml: network.variant must be 'code' for C2, got 'paper'; "
            "only C1 and C3 differ between paper and code.",
        ),
        (
            "name: fig3\ndata: {name: mnist, examples: 200}\nnetwork: F1\n",
            "fig3.yaml: regimes.small_batch.batch_size must be at most data.examples (200), got 256.",
        ),
        (
            "name: fig3\ndata: {name: mnist, examples: 300}\nnetwork: F1\nsharpness: {examples: 301}\n",
            "fig3.yaml: sharpness.examples must be at most data.examples (300), got 301.",
        ),
        (
            f"{BASE}about: \0\n",
            "fig3.yaml is not valid YAML: unacceptable character #x0000: special characters are not allowed "
            'in "<unicode string>", position 42.',
        ),
        (f"{BASE}seeds: [!!int x]\n", "fig3.yaml is not valid YAML: invalid literal for int() with base 10: 'x'."),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_in_one_line(load, text, expected):
    assert message(load, text) == expected


@pytest.mark.parametrize(
    "text",
    ["about: " + "[" * 3000, f"about: {'{a: ' * 60}1", f"seeds: [{'1' * 5000}]", "about: !!timestamp x"],
)
def test_what_the_yaml_parser_chokes_on_is_no_traceback(load, text):
    assert message(load, f"{BASE}{text}\n").startswith("fig3.yaml is not valid YAML: ")


def test_a_long_value_is_cut(load):
    assert (
        message(load, f"{BASE}seeds: {'a' * 500}\n")
        == f"fig3.yaml: seeds must be a list in brackets, got '{'a' * 56}...."
    )


def test_a_file_that_is_not_there_is_told_from_those_that_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    for name in ("fig3.yaml", "quickstart.yaml"):
        (tmp_path / "experiments" / name).write_text(BASE)
    both = "there are experiments/fig3.yaml, experiments/quickstart.yaml."
    meant = "did you mean experiments/quickstart.yaml?"
    for path, rest in {
        "experiments/quikstart.yaml": f"; {meant}",
        "experiments/quickstart": f"; {meant}",
        "quickstart.yaml": f"; {meant}",
        "experiments/table": f"; {both}",
        "experiments": f"; {both}",
        "elsewhere/fig3.yaml": ".",
    }.items():
        assert message(load_experiment, Path(path)) == f"no experiment file {path}{rest}"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    path = tmp_path / "fig3.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    assert message(load_experiment, path) == "fig3.yaml is not a text file in UTF-8."
    assert message(load_experiment, path / "fig3.yaml") == f"{path / 'fig3.yaml'} cannot be read: Not a directory."


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        (["training.epochs=3"], {"training": Training(epochs=3)}),
        ([" training.epochs = 3 "], {"training": Training(epochs=3)}),
        (["training.epochs=3", "training.epochs=4"], {"training": Training(epochs=4)}),
        (["training.learning_rate=1e-2"], {"training": Training(learning_rate=0.01)}),
        (["seeds=[0]"], {"seeds": (0,)}),
        (["sharpness=null"], {"sharpness": None}),
        (["sharpness=null", "sharpness={draws: 2}"], {"sharpness": SharpnessSettings(draws=2)}),
        (["slices={}", "slices.paths={}"], {}),
        (["about=a = b"], {"about": "a = b"}),
        (["data=digits", "data.examples=1000"], {"data": Data(name="digits", examples=1000)}),
        (["network=C1", "network.variant=paper"], {"network": Network(name="C1", variant="paper")}),
        (["network.variant=paper", "network.name=C3"], {"network": Network(name="C3", variant="paper")}),
        (
            ["training.momentum=0.9", "training.optimizer=sgd"],
            {"training": Training(momentum=0.9, optimizer="sgd")},
        ),
        (
            ["regimes.large_batch.batch_size=20%"],
            {"regimes": {"small_batch": Regime(batch_size=256), "large_batch": Regime(batch_size="20%")}},
        ),
        (["regimes={small_batch: {batch_size: 32}}"], {"regimes": {"small_batch": Regime(batch_size=32)}}),
        (
            ["slices.paths.alphas.points=4"],
            {"slices": Slices(paths=Paths(alphas=Grid(low=-1, high=2, points=4)))},
        ),
    ],
)
def test_override_changes_that_key_alone(load, overrides, changes):
    assert load(BASE, *overrides) == load(BASE).model_copy(update=changes)


def test_an_override_can_add_the_regime_that_the_file_leaves_out(load):
    text = BASE + "regimes: {small_batch: {batch_size: 32}}\n"
    regimes = load(text, "regimes.large_batch.batch_size=50%").regimes
    assert regimes == {"small_batch": Regime(batch_size=32), "large_batch": Regime(batch_size="50%")}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["epochs"], "override epochs must be key=value, such as training.epochs=3."),
        (["=3"], "override =3 must be key=value, such as training.epochs=3."),
        (["sharpness="], "override sharpness= must be key=value, such as training.epochs=3."),
        (
            ["training.epoch=3"],
            "override training.epoch=3: unknown key 'epoch' under training; did you mean 'epochs'?",
        ),
        (["trainig.epochs=3"], "override trainig.epochs=3: unknown key 'trainig'; did you mean 'training'?"),
        (["epochs=3"], "override epochs=3: unknown key 'epochs'; did you mean 'training.epochs'?"),
        (["seeds[0]=1"], "override seeds[0]=1: unknown key 'seeds[0]'; did you mean 'seeds'?"),
        (
            ["training..epochs=3"],
            "override training..epochs=3: unknown key '' under training; known: epochs, optimizer, learning_rate, "
            "momentum, weight_decay, patience, min_improvement, evaluation_batch_size, precision, warm_up, decay, "
            "slow_start, growing_batch, gradient_clip, ghost_batch_norm, averaging, stop_at_accuracy.",
        ),
        (
            ["regimes.larg_batch.batch_size=20%"],
            "override regimes.larg_batch.batch_size=20%: unknown key 'larg_batch' under regimes; "
            "did you mean 'large_batch'?",
        ),
        (["training.epochs.x=3"], "override training.epochs.x=3: training.epochs has no keys below it."),
        (
            ["slices.planes=null", "slices.planes.points=9"],
            "override slices.planes.points=9: slices.planes is null; switch it on with slices.planes={points: ...}.",
        ),
        (
            ["training.epochs=many", "seeds=[0]"],
            "override training.epochs=many: training.epochs must be a whole number, got 'many'.",
        ),
        (
            ["seeds=[0]", "training.optimizer=sgd", "training.momentum=1.5", "about=short"],
            "override training.momentum=1.5: training.momentum must be below 1, got 1.5.",
        ),
        (
            ["training.optimizer=adagrad", "seeds=[0]"],
            "override training.optimizer=adagrad: training.momentum must be 0 with 'adagrad', got 0.9; "
            "only 'sgd', 'lars' and 'rmsprop_warm_up' use it.",
        ),
        (
            ["data.examples=200"],
            "override data.examples=200: regimes.small_batch.batch_size must be at most data.examples (200), got 256.",
        ),
        (
            ["variations={grow: {batch_size: 8, training: {growing_batch: {factor: 1}}}}"],
            "override variations={grow: {batch_size: 8, training: {growing_batch: {factor: 1}}}}: "
            "variations.grow.training.growing_batch.factor must be above 1, got 1.",
        ),
        (["seeds=[0"], "override seeds=[0: line 1 is not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (
            ["about=a\nb: c\nd"],
            "override about=a b: c d: line 2 is not valid YAML: mapping values are not allowed here.",
        ),
    ],
)
def test_a_wrong_override_is_named(load, overrides, expected):
    assert message(load, BASE + "training: {optimizer: sgd, momentum: 0.9}\n", *overrides) == expected


def test_a_wrong_file_is_not_blamed_on_the_override(load):
    text = BASE + "training: {epochs: many}\n"
    assert message(load, text, "seeds=[0]") == "fig3.yaml: training.epochs must be a whole number, got 'many'."


def keys_of(content):
    """The keys of nested sections alone."""
    return {key: keys_of(below) for key, below in content.items()} if isinstance(content, dict) else None


def within(found, known):
    """Whether nested keys are all among known ones."""
    return all(key in known and within(below or {}, known[key]) for key, below in found.items())


def test_known_keys_are_an_experiment_with_every_section(load):
    keys = known_keys(Comparison)
    variation = "variations: {any: {batch_size: 1, augmentation: {}, method: robust, start: {epochs: [1]}}}\n"
    whole = load(BASE + variation + "effort: {}\n", "name=name", "data=digits").model_dump()
    named, methods = keys.pop("variations")["any"], set(whole["variations"]["any"].pop("method"))
    assert methods < named.pop("method").keys()
    given = whole.pop("variations")["any"]
    assert named.keys() == given.keys() and all(
        named[key].keys() == given[key].keys() for key in ("augmentation", "start")
    )
    assert within(keys_of(whole), keys)


@pytest.mark.parametrize("text", [LAUGHS, "[" * 10_000, "{a: " * 60 + "1" + "}" * 60])
def test_an_override_is_held_to_the_same(load, text):
    assert re.match(r"override about=.* (is|it is) not valid YAML: ", message(load, BASE, f"about={text}"))


@pytest.mark.parametrize("text", [r'about: "a\0b"', r'about: "\ud800"', r'regimes: {"a\x07": {batch_size: 3}}'])
def test_text_that_nothing_can_show_is_refused(load, text):
    expected = r"a text must have no control characters, got|text must be characters, got half of one in"
    for said in (message(load, f"{BASE}{text}\n"), message(load, BASE, text.replace(": ", "=", 1))):
        assert re.search(expected, said)

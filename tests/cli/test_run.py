"""``flatmin run`` as a user types it."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import flatmin.figures
from flatmin.data.catalog import CATALOG
from flatmin.measures import measures
from flatmin.results import Tables

OFF = "resources.wandb.mode=disabled"
BARE = (OFF, "sharpness=null", "slices=null", "training.epochs=1")


UNDRAWN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process starts with it ignored
import flatmin.figures
flatmin.figures.render = lambda tables, out: out.mkdir(exist_ok=True) or []
from flatmin.cli import main
main()
"""


def shell(home: Path, *arguments: object, drawn: bool = False) -> subprocess.Popen:
    """The command in a process group of its own, in an empty home without any W&B account, with the tests' fonts."""
    env = {name: os.environ[name] for name in ("PATH", "MPLCONFIGDIR")} | {"HOME": str(home), "OMP_NUM_THREADS": "1"}
    program = ("-m", "flatmin") if drawn else ("-c", UNDRAWN)
    command = [sys.executable, *program, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, env=env, start_new_session=True)


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("lock")
    }


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(flatmin.figures, "render", lambda tables, out: out.mkdir(exist_ok=True) or [])


@pytest.mark.slow
def test_first_run_does_everything_and_the_second_nothing(file, tmp_path):
    results = tmp_path / "results"

    def once():
        out, err = (process := shell(tmp_path, "run", file, "--results", results, drawn=True)).communicate()
        assert (process.returncode, err) == (0, "")
        return out

    first = once()
    study = results / "tiny"
    assert first.startswith("tiny  A first look [at nothing] :smile:\n")
    assert "   2 networks to train\n" in first and "   7 slices\n" in first
    assert first.count(" s)\n") == 2 + 2 + 7
    assert first.splitlines()[-2] == "F1 on digits (8×8): no verdict, no network can be told from a guess."
    assert first.endswith(f"Figures: {study / 'figures'}   Tables: {study / 'tables'}\n")
    tables = Tables.read(study / "tables")
    assert {name: len(frame) for name, frame in tables.frames.items() if len(frame)} == {
        "curves": 12,
        "minima": 2,
        "sharpness": 2,
        "lines": 2 * 4 + 2 * 3,
        "planes": 3 * 9,
        "points": 3,
    }
    families = {path.name.partition("_F1")[0] for path in (study / "figures").glob("*.pdf")}
    assert families == {
        *("training_curves", "path_linear", "path_curved", "random_line", "random_plane"),
        *("random_surface", "three_point_plane", "sharpness"),
    }
    assert len(list((study / "wandb").glob("offline-run-*/*.wandb"))) == 3
    before = files(study)
    second = once()
    assert files(study) == before
    assert "   2 networks to train, 2 done\n" in second and "   7 slices, 7 done\n" in second
    found = first.partition("F1 on digits (8×8), 1 seed")[2]
    assert found and second.endswith(found)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interruption_is_one_line_and_the_same_command_goes_on(file, tmp_path, number, status):
    arguments = ("run", file, "training.epochs=100", "sharpness=null", "slices=null", "--results", tmp_path)
    process = shell(tmp_path, *arguments)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("setup.yaml")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, "Interrupted; the same command goes on from here.\n")
    _, err = (process := shell(tmp_path, *arguments)).communicate()
    assert (process.returncode, err) == (0, "")


def test_help_has_a_line_on_every_measure_without_torch(tmp_path):
    code = "import sys; from flatmin.cli import app; app(['run', '--help'], standalone_mode=False); "
    code += "print('torch' in sys.modules)"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "80"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    *lines, torch_loaded = out.splitlines()
    assert torch_loaded == "False" and max(map(len, lines)) <= 80
    listed = lines[lines.index("Measures (NAME={} takes one with its defaults, NAME=null none):") + 1 :]
    assert [line.split()[0] for line in listed if line[2] != " "] == list(measures())
    text = " ".join(" ".join(listed).split())
    assert "Keskar et al. (2017). Taken unless it is null." in text and "average_case The mean rise of the loss" in text


def test_plan_writes_nothing(file, tmp_path, flatmin):
    said = flatmin("run", file, "--plan", "--results", tmp_path / "results")
    assert (said.status, said.err) == (0, "")
    assert "  batches: small batch 16, large batch 40\n" in said.out
    assert "  reduced: Trained on the first 80 of 1,437 examples.\n" in said.out
    assert not list(tmp_path.iterdir())


def test_plan_does_not_download(file, tmp_path, flatmin, monkeypatch):
    monkeypatch.setattr("flatmin.data.catalog.fetch", lambda *args, **kwargs: pytest.fail("downloads"))
    monkeypatch.setattr("flatmin.data.catalog.search_roots", lambda root: (tmp_path,))
    said = flatmin("run", file, "data=mnist", "--plan", "--results", tmp_path / "results")
    assert said.status == 2 and said.err.count("\n") == 1 and "`flatmin data fetch mnist`" in said.err


def test_diverged_regimes_end_well(file, tmp_path, flatmin, undrawn):
    changes = ("training.optimizer=sgd", "training.learning_rate=1e30", OFF)
    said = flatmin("run", file, *changes, "--results", tmp_path)
    assert (said.status, said.err) == (0, "")
    assert "F1-digits-small_batch-seed0: diverged in epoch 1 " in said.out
    assert "  passed over F1-digits-seed0-linear-lines-batch: F1-digits-small_batch-seed0 diverged\n" in said.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "unknown key 'epoch' under training; did you mean 'epochs'?"),
        ("training.epochs=three", "training.epochs must be a whole number, got 'three'."),
        ("sharpness.epsilons=[-1e-3]", "sharpness.epsilons[0] must be positive, got -0.001."),
        ("regimes.large_batch.batch_size=100", "regimes.large_batch.batch_size must be at most data.examples (80)"),
        ("data=svhn", f"data.name must be {', '.join(map(repr, CATALOG))} or 'timit', got 'svhn'."),
        ("network=C1", "network C1 takes inputs of 3 x 32 x 32, digits has 1 x 8 x 8; use F1."),
        pytest.param(
            *("resources.device=cuda", "resources.device is 'cuda', but torch sees 0 GPUs; use 'auto'."),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_bad_setting_is_one_line_and_writes_nothing(file, tmp_path, flatmin, change, message):
    said = flatmin("run", file, change, "--results", tmp_path / "results")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Error: ") and said.err.count("\n") == 1 and message in said.err
    assert not list(tmp_path.iterdir())


def test_a_bad_file_is_refused_before_torch_is_imported(file, tmp_path):
    code = "import sys; from flatmin.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "run", file, "training.epochs=three", "--plan"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "False\n") and "must be a whole number" in said.stderr


def test_missing_file(tmp_path, flatmin):
    said = flatmin("run", tmp_path / "none.yaml")
    assert said == (2, "", f"Error: no experiment file {tmp_path / 'none.yaml'}.\n")


def test_results_folder_that_is_a_file(file, flatmin):
    said = flatmin("run", file, *BARE, "--results", file)
    assert said.status == 2 and said.err.endswith("cannot be written: Not a directory.\n")


def test_broken_record_is_one_line(file, tmp_path, flatmin, undrawn):
    assert flatmin("run", file, *BARE, "--results", tmp_path).status == 0
    broken = sorted(tmp_path.glob("tiny/trained/*small*/minima.csv"))[0]
    broken.write_text("loss\n0\n")
    said = flatmin("run", file, *BARE, "--results", tmp_path)
    assert said.status == 2 and said.err.count("\n") == 1
    assert f"{broken} was changed or cut off after it was written. Delete {broken.parent} to do this step" in said.err


@pytest.fixture
def mnist(data_root, tmp_path):
    """A copy of MNIST to damage."""
    copy = tmp_path / "data"
    shutil.copytree(data_root / "MNIST", copy / "MNIST")
    return copy


@pytest.mark.data
@pytest.mark.parametrize("verify", ["true", "false"])
def test_truncated_data(file, tmp_path, flatmin, mnist, verify):
    (images,) = mnist.rglob("train-images-idx3-ubyte.gz")
    images.write_bytes(images.read_bytes()[:100_000])
    change = f"data={{name: mnist, examples: 80, verify: {verify}}}"
    said = flatmin("run", file, change, "--data", mnist, "--results", tmp_path / "results")
    assert said.status == 2 and said.err.count("\n") == 1
    assert ("differs from the published" if verify == "true" else "is cut short or damaged") in said.err
    assert not (tmp_path / "results").exists()


class Intruder:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("verify", ["true", "false"])
def test_code_in_a_pickle_is_never_run(file, tmp_path, flatmin, verify):
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps(Intruder(tmp_path / "trace")))
    change = f"data={{name: cifar10, examples: 80, verify: {verify}}}"
    said = flatmin("run", file, change, "--data", folder.parent, "--results", tmp_path / "results")
    assert said.status == 2 and said.err.count("\n") == 1
    assert not (tmp_path / "trace").exists() and not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [("[0]", "[0]"), ("[0]", "[1]")], ids=["same", "one each"])
def test_two_processes_share_an_experiment(file, tmp_path, flatmin, undrawn, seeds):
    changes = (OFF, "slices=null", "training.epochs=40", "--results", tmp_path)
    both = [shell(tmp_path, "run", file, f"seeds={those}", *changes) for those in seeds]
    said = [process.communicate() for process in both]
    assert [(process.returncode, err) for process, (_, err) in zip(both, said, strict=True)] == [(0, ""), (0, "")]
    last = flatmin("run", file, "seeds=[0, 1]", *changes)
    assert (last.status, last.err) == (0, "") and "passed over" not in last.out
    assert len(Tables.read(tmp_path / "tiny" / "tables").minima) == 4


def test_every_kind_of_step_has_its_line(file, tmp_path, flatmin, undrawn):
    effort = "effort={evaluations: 4, batch_norm: [batch], examples: 20, climbers: [corner_steps], starts: [sign]}"
    said = flatmin("run", file, effort, "slices=null", "--results", tmp_path)
    assert said.status == 0, said.err
    lines = [line for line in said.out.splitlines() if line.startswith("  effort ")]
    assert len(lines) == 2 and all("by corner_steps from sign" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_the_characters_gets_others(file, tmp_path, encoding):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", UNDRAWN, "run", file, *BARE, "--results", tmp_path]
    said = subprocess.run(command, env=env, capture_output=True)
    assert (said.returncode, said.stderr) == (0, b"")
    listed = subprocess.run([sys.executable, "-m", "flatmin", "list", tmp_path], env=env, capture_output=True)
    assert (listed.returncode, listed.stderr) == (0, b"") and b"tiny" in listed.stdout

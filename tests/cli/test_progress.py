"""The bar: what is left to do adds up to the whole, however a run goes."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import flatmin.cli.progress
import flatmin.figures
import flatmin.training.trainer
from flatmin.cli.progress import TerminalReporter
from flatmin.experiments import Study, load_experiment, run
from flatmin.experiments.training_step import TrainingStep
from flatmin.measures import measures
from flatmin.training.record_keeping import RecordKeeper

CHANGES = ("training.epochs=4", "resources.wandb.mode=disabled")


@pytest.fixture
def study(file, tmp_path, monkeypatch):
    monkeypatch.setattr(flatmin.figures, "render", lambda tables, out: out.mkdir(exist_ok=True) or [])
    return Study.of(load_experiment(file, CHANGES), results=tmp_path)


def bar(study, end=None):
    """Completed and total at the end of a run, and all that was completed on the way."""
    with TerminalReporter() as reporter:
        seen = []
        advanced = reporter.advanced
        reporter.advanced = lambda step, share: (advanced(step, share), seen.append((step.label, share)))
        if end is None:
            run(study, reporter)
        else:
            with pytest.raises(end, match=r"^$"):
                run(study, reporter)
    task = reporter.progress.tasks[0]
    return task.completed, task.total, seen


def test_steps_add_up_to_the_whole(study):
    completed, total, seen = bar(study)
    assert completed == pytest.approx(total) == sum(step.cost for step in study.steps)
    shares = {label: sum(share for name, share in seen if name == label) for label, _ in seen}
    assert shares == pytest.approx(dict.fromkeys(shares, 1.0)) and len(shares) == len(study.steps)
    assert bar(study)[2] == []


def test_resumed_training_advances_for_new_epochs_only(study, monkeypatch):
    monkeypatch.setattr(flatmin.training.trainer, "CHECKPOINT_SECONDS", 0.0)
    write_down = RecordKeeper._write_down

    def interrupted(self, trainer, module, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return write_down(self, trainer, module, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(RecordKeeper, "_write_down", interrupted)
        assert len(bar(study, KeyboardInterrupt)[2]) == 3
    completed, total, seen = bar(study)
    first = study.steps[0].label
    assert [share for label, share in seen if label == first] == [1 / 5, 1 / 5]
    assert completed == pytest.approx(total)


def test_diverged_run_fills_the_bar(file, tmp_path, study):
    changes = (*CHANGES, "training.optimizer=sgd", "training.learning_rate=1e30")
    completed, total, _ = bar(Study.of(load_experiment(file, changes), results=tmp_path))
    assert completed == pytest.approx(total)


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("finished", "finished", "3 epochs, train 50.00 %, test 40.00 %"),
        ("finished", "plateau", "3 epochs (training loss stopped improving), train 50.00 %, test 40.00 %"),
        (
            "finished",
            "chance",
            "3 epochs (training accuracy cannot be told from a guess: no minimum to judge), ",
        ),
        ("diverged", "diverged", "diverged in epoch 3"),
    ],
)
def test_how_a_training_ended_in_words(state, status, said):
    result = {"status": status, "epochs": 3, "train_accuracy": 0.5, "test_accuracy": 0.4}
    assert TrainingStep.found(None, SimpleNamespace(state=state, result=result)).startswith(said)


def test_bar_fits_a_narrow_terminal_with_all_its_times():
    with TerminalReporter() as reporter:
        console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
        reporter.progress.update(
            reporter.task, description="C1-cifar10-large_batch-seed0-normal3-strong-running", total=9
        )
        reporter.progress.tasks[0].finished_time = 36_000.0
        console.print(reporter.progress.get_renderable())
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= 80 and line.count("…") == 1 and line.startswith("C1-cifar10-large_batch")
    assert " 10:00:00 gone, " in line and line.rstrip().endswith(" left")


def test_long_epochs_are_told_of_and_add_up(study, monkeypatch, capsys):
    monkeypatch.setattr(flatmin.training.trainer, "PULSE_SECONDS", 0.0)
    monkeypatch.setattr(flatmin.cli.progress, "LINE_SECONDS", 0.0)
    completed, total, seen = bar(study)
    assert completed == pytest.approx(total)
    first = study.steps[0].label
    shares = [share for label, share in seen if label == first]
    assert len(shares) == 1 + 4 * (5 + 1) and sum(shares) == pytest.approx(1.0) and min(shares) >= 0
    lines = [line for line in capsys.readouterr().out.splitlines() if f" % {first} (" in line]
    assert len(lines) == len(shares) and lines[-1].startswith("    100.0 % ")


def nouns():
    """Those of all steps, as they are written."""
    folder = Path(flatmin.cli.progress.__file__).parents[1]
    found = re.findall(r'^    noun = "(.+)"$', "\n".join(path.read_text() for path in folder.rglob("*.py")), re.M)
    return sorted({*found, *(measure.noun for measure in measures().values())})


def test_one_of_each_kind_of_step_is_named_in_the_singular():
    changed = {noun: flatmin.cli.progress.single(noun) for noun in nouns()}
    alone = {noun for noun, one in changed.items() if noun == one}
    assert len(changed) > 40 and alone == {"loss on a grid", "escape from the saddle", "sweep of momenta"}
    firsts = {one: len(noun) - len(one) for noun, one in changed.items() if noun not in alone}
    assert all(-1 <= lost <= 2 for lost in firsts.values()), firsts

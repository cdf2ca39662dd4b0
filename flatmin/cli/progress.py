"""What a run shows in the terminal: its plan, how far it is, and what it found."""

import time
from collections import Counter
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flatmin.core.errors import ResultsError
from flatmin.experiments import Reporter, Study
from flatmin.experiments.step import Step
from flatmin.results import Record, Tables

DONE = ("finished", "diverged")
ENDINGS = {
    "plateau": " (training loss stopped improving)",
    "chance": " (training accuracy cannot be told from a guess: no minimum to judge)",
}
KINDS = {
    "trained": "networks to train",
    "sharpness": "sharpness searches",
    "effort": "networks to search by effort",
    "slices": "slices",
}


def terminal() -> Console:
    """A console that prints text as it is: long lines uncut, brackets and colons no markup."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def show_plan(study: Study) -> None:
    """Print what an experiment consists of and how much of it is done."""
    experiment, data = study.experiment, study.dataset
    console = terminal()
    console.print(f"{experiment.name}  {experiment.about}".rstrip(), style="bold")
    shape = " x ".join(map(str, data.input_shape))
    console.print(
        f"  {experiment.network.name} on {data.name} ({len(data.train):,} training, {len(data.test):,} test examples "
        f"of {shape}), seeds {', '.join(map(str, experiment.seeds))}, {experiment.training.epochs} epochs of "
        f"{experiment.training.optimizer}, learning rate {experiment.training.learning_rate:g}"
    )
    sizes = {step.facts["regime"]: step.facts["batch_size"] for step in study.steps if step.kind == "trained"}
    console.print("  batches: " + ", ".join(f"{name.replace('_', ' ')} {size:,}" for name, size in sizes.items()))
    for sentence in study.reduced:
        console.print(f"  reduced: {sentence}.", style="yellow")
    for sentence in study.cautions:
        console.print(f"  caution: {sentence}.", style="yellow")
    total, done = Counter[str](), Counter[str]()
    for step, _, state in study.states():
        total[step.kind] += 1
        done[step.kind] += state in DONE
    for kind, name in KINDS.items():
        if total[kind]:
            console.print(f"  {total[kind]:4d} {name}" + (f", {done[kind]} done" if done[kind] else ""))
    device, mirror = study.workplace.device, experiment.resources.wandb.mode
    console.print(f"  on {device}, results in {study.folder}, Weights & Biases {mirror}")


class TerminalReporter(Reporter):
    """A bar over all the work with the time that remains, and a line for each finished step."""

    def __init__(self) -> None:
        self.console = terminal()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("remaining"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.task = self.progress.add_task("", total=1.0)
        self.shares: dict[str, float] = {}
        self.since = 0.0

    def __enter__(self) -> "TerminalReporter":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def planned(self, study: Study) -> None:
        """Print the plan and set the length of the bar to the work that is left."""
        show_plan(study)
        left = sum(step.cost for step, _, state in study.states() if state not in DONE)
        self.progress.update(self.task, total=left or 1.0)

    def started(self, step: Step) -> None:
        """Name the step beside the bar."""
        self.since = time.monotonic()
        self.shares[step.label] = 0.0
        self.progress.update(self.task, description=step.label)

    def advanced(self, step: Step, share: float) -> None:
        """Move the bar."""
        self.shares[step.label] += share
        self.progress.advance(self.task, share * step.cost)

    def ended(self, step: Step, record: Record) -> None:
        """Print a line on what the step found."""
        self.progress.advance(self.task, (1 - self.shares[step.label]) * step.cost)
        took = time.monotonic() - self.since
        self.console.print(f"  {record.kind:9s} {step.label}: {found(record)} ({took:.1f} s)")

    def passed_over(self, step: Step, reason: str) -> None:
        """Say why a step was not done."""
        self.progress.advance(self.task, step.cost)
        self.console.print(f"  passed over {step.label}: {reason}", style="yellow")


def found(record: Record) -> str:
    """What a record says, in a few words."""
    result = record.result
    if record.kind == "trained":
        if record.state == "diverged":
            return f"diverged in epoch {result['epochs']}"
        ending = ENDINGS.get(result["status"], "")
        accuracy = f"train {100 * result['train_accuracy']:.2f} %, test {100 * result['test_accuracy']:.2f} %"
        return f"{result['epochs']} epochs{ending}, {accuracy}"
    if record.kind in ("sharpness", "effort") and record.state == "diverged":
        return f"no search, the loss at the minimum is {result['base_loss']}"
    if record.kind == "sharpness":
        return ", ".join(f"{row['sharpness']:.4g} (epsilon {row['epsilon']:g})" for row in result["searches"])
    if record.kind == "effort":
        best = max(result["climbs"], key=lambda climb: climb["sharpness"][-1])
        return f"at most {best['sharpness'][-1]:.4g}, by {best['climber']} from {best['start']}"
    lost = sum(check["non_finite"] for check in result["checks"].values())
    return f"{lost} values not finite" if lost else "done"


def show_results(tables: Tables, folder: Path, *, drawn: bool = True) -> None:
    """Print the summary table, which minimum is sharper, and where everything lies."""
    from flatmin.figures.summary import summary_table, terminal_tables
    from flatmin.figures.verdict import verdict

    console = terminal()
    try:
        console.print(*terminal_tables(summary_table(tables)), sep="", soft_wrap=False)
    except ResultsError as error:
        console.print(str(error))
    for sentence in verdict(tables):
        console.print(sentence)
    figures = str(folder / "figures") if drawn else "not drawn"
    console.print(f"Figures: {figures}   Tables: {folder / 'tables'}")

"""What a run shows in the terminal: its plan, how far it is, and what it found."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from flatmin.cli.terminal import show, terminal
from flatmin.core.progress import progress_bar
from flatmin.experiments import Reporter, Study
from flatmin.experiments.plans import DONE
from flatmin.experiments.step import Step
from flatmin.results import Record, Tables

LINE_SECONDS = 60.0
LINK = re.compile(r"(.*?)( (?:along|at|beside|between|in|of|on|through|to|where|whose)\b)(.*)")
"""What a noun names stands before the first of these."""
ENDINGS = (("sses", "ss"), ("ches", "ch"), ("ies", "y"), ("ima", "imum"), ("ss", "ss"), ("s", ""))


def show_plan(study: Study) -> None:
    """Print what an experiment consists of and how much of it is done."""
    experiment, console = study.experiment, terminal()
    console.print(f"{experiment.name}  {experiment.about}".rstrip(), style="bold")
    for line in study.outline:
        console.print(f"  {line}")
    for remark in study.reduced:
        console.print(f"  reduced: {remark.text}.", style="yellow")
    for remark in study.cautions:
        console.print(f"  caution: {remark.text}.", style="yellow")
    total, done = Counter[str](), Counter[str]()
    for step, _, state in study.states():
        total[step.noun] += 1
        done[step.noun] += state in DONE
    for noun, count in total.items():
        console.print(
            f"  {count:4d} {noun if count > 1 else single(noun)}" + (f", {done[noun]} done" if done[noun] else "")
        )
    device, mirror = study.workplace.device, experiment.resources.wandb.mode_here
    console.print(f"  on {device}, results in {study.folder}, Weights & Biases {mirror}")


def single(noun: str) -> str:
    """One of what a step's noun names in the plural.

    Example:
        >>> [single(noun) for noun in ("networks to train", "sharpness searches", "minima", "local entropies")]
        ['network to train', 'sharpness search', 'minimum', 'local entropy']
        >>> single("sharpnesses to explain"), single("loss on a grid")
        ('sharpness to explain', 'loss on a grid')
    """
    head, link, rest = next((found.groups() for found in [LINK.fullmatch(noun)] if found), (noun, "", ""))
    for end, other in ENDINGS:
        if head.endswith(end):
            return f"{head.removesuffix(end)}{other}{link}{rest}"
    return noun


class TerminalReporter(Reporter):
    """A bar over all the work with the time that remains, and a line for each finished step.

    Where there is no terminal to draw a bar on, a long step has a line every minute.
    """

    def __init__(self) -> None:
        self.console = terminal()
        self.progress = progress_bar(self.console)
        self.task = self.progress.add_task("", total=1.0)
        self.shares: dict[str, float] = {}
        self.since = self.said = 0.0

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
        self.since = self.said = time.monotonic()
        self.shares[step.label] = 0.0
        self.progress.update(self.task, description=step.label)

    def advanced(self, step: Step, share: float) -> None:
        """Move the bar."""
        self.shares[step.label] += share
        self.progress.advance(self.task, share * step.cost)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.said >= LINE_SECONDS:
            self.said = now
            self.console.print(f"  {100 * self.shares[step.label]:7.1f} % {step.label} ({now - self.since:.0f} s)")

    def ended(self, step: Step, record: Record) -> None:
        """Print a line on what the step found."""
        self.progress.advance(self.task, (1 - self.shares[step.label]) * step.cost)
        took = time.monotonic() - self.since
        self.console.print(f"  {record.kind:9s} {step.label}: {step.found(record)} ({took:.1f} s)")

    def passed_over(self, step: Step, reason: str) -> None:
        """Say why a step was not done."""
        self.progress.advance(self.task, step.cost)
        self.console.print(f"  passed over {step.label}: {reason}", style="yellow")

    def stale(self, step: Step, grounds: Sequence[str]) -> None:
        """Say why a step is done again."""
        changed = ", ".join(grounds)
        self.console.print(f"  again     {step.label}: it was made from other numbers of {changed}", style="yellow")


def show_results(tables: Tables, study: Study, *, drawn: bool = True) -> None:
    """Print what was found, and where everything lies."""
    show(study.kind.printed(tables))
    figures = str(study.folder / "figures") if drawn else "not drawn"
    terminal().print(f"Figures: {figures}   Tables: {study.folder / 'tables'}")

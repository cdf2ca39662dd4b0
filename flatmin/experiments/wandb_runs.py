"""The process in which Weights & Biases runs, so that nothing it does can stop, delay or clutter an experiment.

``python -m flatmin.experiments.wandb_runs`` reads pickled messages on its standard input, first what all runs have in
common, then the names of methods of `Runs` with arguments, and answers each with a line: empty, or why it gives up. At
the end of its input it ends too, at the latest after `LAST_SECONDS`.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb import Run

INIT_SECONDS = 30
LAST_SECONDS = 300
Message = tuple[str, dict[str, Any]]


class Runs:
    """The W&B runs of an experiment, one open at a time.

    Args:
        common: What all have in common, as arguments of ``wandb.init``.
    """

    def __init__(self, **common: Any) -> None:
        self.common = common
        self.run: Run | None = None

    def open(self, **own: Any) -> None:
        """Start a run whose curves are drawn over the epochs."""
        import wandb

        settings = wandb.Settings(silent=True, console="off", init_timeout=INIT_SECONDS, x_disable_stats=True)
        wandb.setup(settings)  # `init` would take silence to heart only after it has said where it found the API key
        self.run = wandb.init(**self.common, **own, reinit="finish_previous", settings=settings)
        self.run.define_metric("*", step_metric="epoch")

    def log(self, row: Mapping[str, Any]) -> None:
        """Log numbers."""
        assert self.run is not None
        self.run.log(dict(row))

    def show(self, frames: Mapping[str, Any], images: Mapping[str, Path], pages: Mapping[str, Path]) -> None:
        """Log tables, pictures and pages, in one step."""
        import wandb

        assert self.run is not None
        tables: dict[str, Any] = {key: wandb.Table(dataframe=frame) for key, frame in frames.items()}
        shown = {key: wandb.Image(str(path)) for key, path in images.items()}
        self.run.log(tables | shown | {key: wandb.Html(str(path)) for key, path in pages.items()})

    def finish(self, numbers: Mapping[str, Any]) -> None:
        """Write the summary and end the run."""
        assert self.run is not None
        self.run.summary.update(dict(numbers))
        self.run.finish()
        self.run = None

    def leave(self) -> None:
        """End a run whose training was interrupted."""
        if self.run is not None:
            self.run.finish(exit_code=1)

    def tell(self, message: Message) -> str:
        """Do what a message asks for; why that failed, or nothing."""
        name, arguments = message
        try:
            getattr(self, name)(**arguments)
        except Exception as error:
            return str(error).strip().partition("\n")[0] or type(error).__name__
        return ""


def serve(messages: IO[bytes], answers: IO[str]) -> None:
    """Do what the messages ask for, until one fails or there are no more."""
    waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(messages, waiting), daemon=True).start()
    if (first := waiting.get()) is None:
        return
    runs = Runs(**first[1])
    print(file=answers, flush=True)
    while (message := waiting.get()) is not None:
        reason = runs.tell(message)
        print(reason, file=answers, flush=True)
        if reason:
            return
    runs.leave()


def _receive(messages: IO[bytes], waiting: "queue.SimpleQueue[Message | None]") -> None:
    """Take messages while others are being seen to, and note the end of them even where W&B does not answer."""
    while True:
        try:
            waiting.put(pickle.load(messages))
        except (EOFError, OSError, pickle.UnpicklingError):
            signal.alarm(LAST_SECONDS)
            waiting.put(None)
            return


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    try:
        serve(sys.stdin.buffer, answers)
    finally:
        os._exit(0)  # W&B would say goodbye, which can take for ever

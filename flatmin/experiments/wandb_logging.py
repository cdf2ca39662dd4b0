"""Weights & Biases as a mirror of the results on disk: nothing it does or fails to do stops an experiment.

W&B runs in a process of its own (`flatmin.experiments.wandb_runs`) that is told what happens and never waited for, save
a few seconds at the end.
"""

import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from pytorch_lightning.loggers import Logger

from flatmin.experiments import wandb_runs
from flatmin.experiments.config import Experiment
from flatmin.experiments.wandb_runs import Message
from flatmin.results.wandb_keys import STUDY, figure_key, page_key, study_name

_log = logging.getLogger(__name__)
PATIENCE = 5.0
COMMAND = [sys.executable, "-m", wandb_runs.__name__]


class Listener(Protocol):
    """What is told of runs."""

    def tell(self, message: Message) -> str:
        """Pass a message on without waiting; why the listener has given up, as far as is known, or nothing."""
        ...

    def close(self, patience: float) -> str:
        """There are no more messages; wait while it gets on with them. Why it has given up, or nothing."""
        ...


class Process:
    """A process that is told of runs, and is never waited for while it is.

    Args:
        folder: The experiment's folder, for a message.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout
        self.waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.told = self.done = 0
        self.reason = ""
        threading.Thread(target=_send, args=(self.waiting, self.process.stdin), daemon=True).start()
        threading.Thread(target=_hear, args=(self.process, self.answers), daemon=True).start()

    def tell(self, message: Message) -> str:
        """Pass a message on."""
        while not self.reason and not self.answers.empty():
            self._heard(self.answers.get())
        self.told += 1
        self.waiting.put(message)
        return self.reason

    def close(self, patience: float) -> str:
        """End the messages and wait as long as one is answered every `patience` seconds, three times that at most."""
        self.waiting.put(None)
        end = time.monotonic() + 3 * patience
        try:
            while not self.reason and self._heard(self.answers.get(timeout=min(patience, end - time.monotonic()))):
                pass
        except (queue.Empty, ValueError):  # the latter where the time is over
            self.reason = f"no answer in time; `wandb sync {self.folder / 'wandb'}/*run-*` uploads what it lacks"
        return self.reason

    def _heard(self, answer: str | None) -> bool:
        """Take an answer; whether there may be more."""
        if answer is None:
            self.reason = "its process has ended" if self.done < self.told else ""
            return False
        self.done += 1
        self.reason = answer
        return True


def _send(waiting: "queue.SimpleQueue[Message | None]", stream: IO[bytes]) -> None:
    try:
        with stream:
            while (message := waiting.get()) is not None:
                pickle.dump(message, stream)
                stream.flush()
    except OSError:
        pass


def _hear(process: "subprocess.Popen[bytes]", answers: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout
    with process.stdout:
        for line in process.stdout:
            answers.put(line.decode(errors="replace").rstrip("\n"))
    process.wait()
    answers.put(None)


class Mirror:
    """The W&B runs of an experiment: one a trained network, grouped by experiment and regime, and one for the study.

    The first failure ends the mirroring with a warning: what does not answer once is not asked again. As a context it
    ends with the mirroring.

    Args:
        experiment: What is run; ``resources.wandb`` and ``WANDB_MODE`` say whether and where it is mirrored.
        folder: The experiment's folder; offline runs are kept in its ``wandb/``.
        tags: Names under which its runs are found.
    """

    def __init__(self, experiment: Experiment, folder: Path, tags: Sequence[str] = ()) -> None:
        self.experiment, self.folder, self.tags = experiment, folder, tags
        self.mode = experiment.resources.wandb.mode_here
        self.working = self.mode != "disabled"
        self.listener: Listener | None = None

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.listener is not None:
            wanted = kind is None and self.working
            reason = self.listener.close(PATIENCE if wanted else 0.0)
            self._end(reason if wanted else "")

    def start(self) -> None:
        """Start W&B, unless it is at work or has failed."""
        if not self.working or self.listener is not None:
            return
        settings = self.experiment.resources.wandb
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.listener = Process(self.folder)
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        self.tell(
            "common",
            project=settings.project,
            entity=settings.entity,
            group=self.experiment.name,
            tags=list(self.tags),
            dir=self.folder,
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
        )

    def tell(self, name: str, /, **arguments: Any) -> None:
        """Say what has happened, unless W&B has failed before."""
        self.start()
        if self.working and self.listener is not None:
            self._end(self.listener.tell((name, arguments)))

    def training(self, name: str, regime: str, record_id: str, config: Mapping[str, Any]) -> "MirrorLogger | None":
        """The run of one network; going on with it where an interrupted one was."""
        if not self.working:
            return None
        return MirrorLogger(self, name=name, id=record_id[:16], job_type=regime, config=dict(config))

    def study(self, frames: Mapping[str, Any], numbers: Mapping[str, float], figures: list[Path]) -> None:
        """Log what the whole experiment found.

        Args:
            frames: Tables by key.
            numbers: Numbers by key.
            figures: Files of its figures.
        """
        config = self.experiment.model_dump(mode="json")
        self.tell("open", name=study_name(self.experiment.name), id=None, job_type=STUDY, config=config)
        images = {figure_key(path.stem): path for path in figures if path.suffix == ".png"}
        pages = {page_key(path.stem): path for path in figures if path.suffix == ".html"}
        self.tell("show", frames=dict(frames), images=images, pages=pages)
        self.tell("finish", numbers=dict(numbers))

    def _end(self, reason: str) -> None:
        if reason and self.working:
            _log.warning("Weights & Biases is left out from here on: %s", reason)
            self.working = False


class MirrorLogger(Logger):
    """What Lightning tells of one training, passed on to the mirror.

    Args:
        mirror: Where the run is.
        run: Name, id, job type and config of the run.
    """

    def __init__(self, mirror: Mirror, **run: Any) -> None:
        super().__init__()
        self._mirror, self._id = mirror, str(run["id"])
        self._logged = set[float]()
        mirror.tell("open", **run)

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "wandb"

    @property
    def version(self) -> str:
        """The run's id."""
        return self._id

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The setup is the run's config already."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the row of an epoch."""
        self._logged.add(metrics["epoch"])
        self._mirror.tell("log", row=dict(metrics))

    def finish(self, numbers: Mapping[str, Any], rows: Iterable[Mapping[str, float]]) -> None:
        """Write the summary and end the run.

        Args:
            numbers: Summary numbers.
            rows: Rows of all epochs; those from before an interruption are logged now.
        """
        for row in rows:
            if row["epoch"] not in self._logged:
                self.log_metrics(row)
        self._mirror.tell("finish", numbers=dict(numbers))

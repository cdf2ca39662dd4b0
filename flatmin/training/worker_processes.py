"""Jobs in processes of their own, none of which outlives what started them."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from flatmin.core.errors import FlatminError

Job = TypeVar("Job")
Work = Callable[[Any, Callable[[Any], None]], None]
PATIENCE = 5.0
"""Seconds that a process has to end after SIGTERM, before it is killed."""


def in_processes(
    work: Work, jobs: Sequence[Job], *, processes: int, heard: Callable[[Job, Any], None], noun: str = "job"
) -> None:
    """Do each job in a fresh process (spawned), so many at a time, in order.

    If one fails, or this process is interrupted, the others are ended; if this one is killed, they end by themselves.
    Ctrl-C in a terminal reaches them too, and is left to this one.

    Args:
        work: ``work(job, say)``, a function that the processes can import; what it gives to ``say`` is heard here.
        jobs: What can be pickled, each a call of ``work``.
        processes: How many run at a time.
        heard: Called here with a job and what it says.
        noun: What a job is called when it fails.

    Raises:
        FlatminError: If a job raises one: that one.
        RuntimeError: If a job raises anything else, or its process ends without a word.
    """
    context = multiprocessing.get_context("spawn")
    waiting, running = list(jobs), dict[Connection, tuple[BaseProcess, Job]]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                receiver, sender = context.Pipe(duplex=False)
                started = context.Process(target=_run, args=(work, waiting[0], sender), daemon=True)
                started.start()
                running[receiver] = started, waiting.pop(0)
                sender.close()
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                process, job = running[ready]
                kind, content = _heard(ready, process)
                if kind == "said":
                    heard(job, content)
                elif kind == "done":
                    process.join()
                    del running[ready]
                elif isinstance(content, FlatminError):
                    raise content
                else:
                    failure = RuntimeError(f"{noun} {job} failed: {content[0]}")
                    failure.add_note(content[1])
                    raise failure
    finally:
        _end([process for process, _ in running.values()])


def _heard(receiver: Connection, process: BaseProcess) -> tuple[str, Any]:
    try:
        message: tuple[str, Any] = receiver.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        hint = "it said nothing; a script must start its work below `if __name__ == '__main__':`"
        return "failed", (f"its process {how}", hint)
    return message


def _end(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def _run(work: Work, job: Any, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(job, lambda content: sender.send(("said", content)))
    except FlatminError as error:
        sender.send(("failed", error))
    except Exception as error:
        sender.send(("failed", (f"{type(error).__name__}: {error}", traceback.format_exc())))
    else:
        sender.send(("done", None))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

"""Ctrl-C and a scheduler's SIGTERM: one way to stop, each with its own exit status."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

REPEATS = hasattr(signal, "setitimer")
"""Whether the system can be asked for a signal later: Windows cannot."""
SOON = 0.02
"""Seconds after which an interrupt that would have been swallowed is tried again."""


@contextmanager
def stoppable(words: str = "Interrupted; the same command goes on from here.") -> Iterator[None]:
    """Let SIGTERM stop the work as Ctrl-C does: one line, and exit status 143 instead of 130.

    Python's own answer to SIGTERM is to die in the middle of whatever it does. Only the first one counts, so that the
    second does not interrupt the tidying up; it waits until it is out of what would swallow it. A SIGTERM that the
    process was started to ignore stays ignored.

    Args:
        words: What is said then.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            received.append(number)
            if len(received) > 1:
                return
        if _swallows(frame):
            signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    alarm = signal.getsignal(signal.SIGALRM) if REPEATS else None
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and not received:
            raise
        typer.echo(words, err=True)
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from None
    finally:
        if REPEATS:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGTERM, before)


def _swallows(frame: FrameType | None) -> bool:
    """Whether an interrupt would be caught on its way: pydantic turns one into an error or a warning of its own."""
    while frame is not None and REPEATS:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "pydantic":
            return True
        frame = frame.f_back
    return False

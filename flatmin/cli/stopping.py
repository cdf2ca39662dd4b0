"""Ctrl-C and a scheduler's SIGTERM: one way to stop, each with its own exit status."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def stoppable(words: str = "Interrupted; the same command goes on from here.") -> Iterator[None]:
    """Let SIGTERM stop the work as Ctrl-C does: one line, and exit status 143 instead of 130.

    Python's own answer to SIGTERM is to die in the middle of whatever it does. Only the first one counts, so that the
    second does not interrupt the tidying up. A SIGTERM that the process was started to ignore stays ignored.

    Args:
        words: What is said then.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
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
        signal.signal(signal.SIGTERM, before)

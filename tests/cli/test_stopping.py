"""One signal stops the work, wherever it falls."""

import os
import signal
import time
from typing import Annotated

import pytest
import typer
from pydantic import BaseModel, Discriminator, Tag

from flatmin.cli import main
from flatmin.cli.stopping import stoppable

STRIKING: list[bool] = []


def kind_of(value: object) -> str:
    """Tells two models apart; the signal falls in here, where pydantic catches whatever is raised."""
    if STRIKING:
        STRIKING.clear()
        os.kill(os.getpid(), signal.SIGTERM)
    return "text" if isinstance(value, str) else "number"


class Struck(BaseModel):
    value: Annotated[Annotated[int, Tag("number")] | Annotated[str, Tag("text")], Discriminator(kind_of)]


def strikes_a_model() -> None:
    struck = Struck(value=1)
    STRIKING.append(True)
    assert struck.model_dump() == {"value": 1}


def strikes_the_work() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("strike", [strikes_a_model, strikes_the_work])
def test_a_signal_is_not_swallowed_by_what_it_falls_into(strike, capsys):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with pytest.raises(typer.Exit) as ended, stoppable("Stopped."):
        strike()
        time.sleep(5)
        pytest.fail("the work went on")
    assert ended.value.exit_code == 143 and capsys.readouterr().err == "Stopped.\n"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_interrupt_before_any_command_has_begun_is_one_line(monkeypatch, capsys):
    def struck():
        raise KeyboardInterrupt

    monkeypatch.setattr("flatmin.cli.app", struck)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130 and capsys.readouterr().err == "Interrupted.\n"

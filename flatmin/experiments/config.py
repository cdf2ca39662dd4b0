"""What every experiment file says, of whatever kind its study is.

Everything is checked before anything runs, and a key that does not exist is an error: a typing error never becomes a
default. A section that is left out takes its defaults; one that is ``null`` is not done.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flatmin.core.fields import Section, Share, shown
from flatmin.results.kind import USUAL


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", value):
        raise ValueError(f"must be 'auto', 'cpu', 'cuda' or one GPU such as 'cuda:0', got {shown(value)}")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", value):
        raise ValueError(f"must be up to 80 letters, digits, dots, dashes and underscores, got {shown(value)}")
    return value


class Wandb(Section):
    """Weights & Biases, a mirror of the results on disk.

    Attributes:
        mode: ``offline`` keeps the run in a folder, ``online`` uploads it.
        project: Project of the runs.
        entity: Account or team; ``null`` is the user's own.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: Annotated[str, Field(min_length=1)] = "flatmin"
    entity: Annotated[str, Field(min_length=1)] | None = None


class Resources(Section):
    """Where an experiment is computed; nothing here belongs to what identifies a result.

    Attributes:
        device: ``auto`` takes a GPU if there is one; else ``cpu``, ``cuda`` or one GPU such as ``cuda:0``.
        wandb: Weights & Biases.
    """

    device: Annotated[str, AfterValidator(_device)] = "auto"
    wandb: Wandb = Wandb()


class Experiment(Section):
    """What the files of all kinds of studies have in common.

    Attributes:
        kind: The kind of study; ``comparison`` unless given.
        name: Names the results; it must be able to stand in a file name.
        about: What the experiment is for, in a sentence.
        budget: Share of the epochs, and of the examples that measures and slices use; recorded as a reduced setting.
        resources: Where it is computed.
    """

    kind: str = USUAL
    name: Annotated[str, AfterValidator(_file_name)]
    about: str = ""
    budget: Share = 1.0
    resources: Resources = Resources()

"""What every experiment file says, of whatever kind its study is.

Everything is checked before anything runs, and a key that does not exist is an error: a typing error never becomes a
default. A section that is left out takes its defaults; one that is ``null`` is not done.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr

from flatmin.core.errors import ConfigError
from flatmin.core.fields import Section, Share, file_safe, shown
from flatmin.core.kind import USUAL

MODES = {"online": "online", "offline": "offline", "disabled": "disabled", "run": "online", "dryrun": "offline"}
"""What ``WANDB_MODE`` may say, in W&B's older words too."""


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", value):
        raise ValueError(f"must be 'auto', 'cpu', 'cuda' or one GPU such as 'cuda:0', got {shown(value)}")
    return value


class Wandb(Section):
    """Weights & Biases, a mirror of the results on disk.

    Attributes:
        mode: ``offline`` keeps the run in a folder, ``online`` uploads it.
        project: Project of the runs.
        entity: Account or team; ``null`` is the user's own.

    Where ``WANDB_MODE`` is set in the environment it takes the place of ``mode``.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: Annotated[str, Field(min_length=1)] = "flatmin"
    entity: Annotated[str, Field(min_length=1)] | None = None

    @property
    def mode_here(self) -> str:
        """The mode, or what ``WANDB_MODE`` makes of it.

        Raises:
            ConfigError: If ``WANDB_MODE`` is no mode.
        """
        named = os.environ.get("WANDB_MODE")
        if not named:
            return self.mode
        if named not in MODES:
            raise ConfigError(f"WANDB_MODE must be online, offline or disabled, got {shown(named)}.")
        return MODES[named]


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
        budget: Share of the epochs, and of the examples that measures and slices use, recorded as a reduced setting;
            where it leaves less than an epoch, that share of an epoch's examples is trained on for one.
        resources: Where it is computed.
    """

    kind: str = USUAL
    name: Annotated[str, AfterValidator(file_safe)]
    about: str = ""
    budget: Share = 1.0
    resources: Resources = Resources()
    _folder: Path = PrivateAttr(default_factory=Path)

    def __eq__(self, other: object) -> bool:
        """Whether both ask for the same, wherever their files lie."""
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def folder(self) -> Path:
        """Where files that it names are looked for: that of its own file, else the working folder."""
        return self._folder

    def beside(self, folder: Path) -> Self:
        """The same experiment with its files in another folder."""
        other = self.model_copy()
        other._folder = folder
        return other

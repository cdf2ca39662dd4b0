"""Folders of data that a user names: they must be there, lest another place be taken in silence."""

import os
from pathlib import Path

from flatmin.core.errors import DataError


def named_folder(root: Path | None, option: str = "--data", *, made: bool = False) -> Path | None:
    """The folder after an option, once it and ``$FLATMIN_DATA`` are known to be folders.

    Args:
        root: The folder named.
        option: What it was named by, for the message.
        made: Whether the command makes it where there is none.

    Raises:
        DataError: If one is named that is no folder.
    """
    variable = os.environ.get("FLATMIN_DATA")
    if variable and not Path(variable).expanduser().is_dir() and (root is None or not made):
        raise DataError(f"FLATMIN_DATA names {variable}, which is no folder; make it, or unset the variable.")
    return root if made else existing(root, option)


def existing(root: str | Path | None, option: str) -> Path | None:
    """The folder that was named, if it is one.

    Raises:
        DataError: If it is none.
    """
    root = None if root is None else Path(root)
    if root is not None and not root.expanduser().is_dir():
        raise DataError(f"{option} names {root}, which is no folder; leave it out to search the usual ones.")
    return root

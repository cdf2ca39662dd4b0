"""Folders of data that a user names: they must be there, lest another place be taken in silence."""

import os
from pathlib import Path

from flatmin.core.errors import DataError


def named_folder(root: Path | None, *, made: bool = False) -> Path | None:
    """The folder after ``--data``, once it and ``$FLATMIN_DATA`` are known to be folders.

    Args:
        root: The folder named.
        made: Whether the command makes it where there is none.

    Raises:
        DataError: If one is named that is no folder.
    """
    variable = os.environ.get("FLATMIN_DATA")
    if variable and not Path(variable).expanduser().is_dir() and (root is None or not made):
        raise DataError(f"FLATMIN_DATA names {variable}, which is no folder; make it, or unset the variable.")
    if root is not None and not made and not root.expanduser().is_dir():
        raise DataError(f"--data names {root}, which is no folder; leave it out to search the usual ones.")
    return root

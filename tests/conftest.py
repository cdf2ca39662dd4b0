import getpass
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

UNPACK = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with the real data sets: $FLATMIN_DATA, or ../shared/data unpacked once for all runs of a user."""
    if named := os.environ.get("FLATMIN_DATA"):
        return Path(named)
    if not UNPACK.is_file():
        pytest.skip(f"no real data: $FLATMIN_DATA is not set and {UNPACK} does not exist")
    cache = Path(tempfile.gettempdir()) / f"flatmin-data-{getpass.getuser()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    root = cache / "unpacked"
    if not root.is_dir():
        _unpack(root)
    return root


def _unpack(root: Path) -> None:
    """Unpack beside `root` and rename, so that two runs at once do not meet: the first to finish gives the folder."""
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        part = Path(folder) / "part"
        command = [sys.executable, str(UNPACK), str(part), "mnist", "cifar10", "cifar100"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        try:
            part.rename(root)
        except OSError:
            if not root.is_dir():
                raise

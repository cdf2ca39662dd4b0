import getpass
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flatmin.studies.comparison.settings import Comparison

UNPACK = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"


def pytest_configure(config: pytest.Config) -> None:
    """One font cache of matplotlib for all tests and the processes they start, made before any of them."""
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / f"flatmin-matplotlib-{getpass.getuser()}"))
    if not hasattr(config, "workerinput"):
        import matplotlib.font_manager  # noqa: F401


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


PATTERNS = {
    "published": "{part}/DR{dialect}/{speaker}/{sentence}.WAV",
    "lower case": "{part}/dr{dialect}/{speaker}/{sentence}.wav",
    "sample": "dr{dialect}-{speaker}/{sentence}.wav",
}


@pytest.fixture(scope="session")
def fake_timit() -> Callable[..., Path]:
    """Writes a tiny corpus of noise in one of the layouts of TIMIT, as RIFF or NIST SPHERE."""

    def write(
        folder: Path, layout: str = "published", speakers: str = "fcjf0 mdac0", sentences: str = "sx37 si648"
    ) -> Path:
        sounds = np.random.default_rng(0)
        for dialect, speaker in enumerate(speakers.split(), 1):
            for sentence in sentences.split():
                names = {"part": "TRAIN", "dialect": dialect, "speaker": speaker.upper(), "sentence": sentence.upper()}
                if layout != "published":
                    names = {key: str(name).lower() for key, name in names.items()}
                _write_utterance(folder / PATTERNS[layout].format(**names), sounds, sphere=layout == "published")
        return folder

    return write


def _write_utterance(path: Path, sounds: np.random.Generator, *, sphere: bool) -> None:
    import soundfile

    edges = np.cumsum([0, *sounds.integers(1500, 3000, 6)])
    phones = ["h#", *sounds.choice(["sh", "iy", "hv", "ae", "dcl", "y", "axr", "q"], 4), "h#"]
    segments = list(zip(edges[:-1], edges[1:], phones, strict=True))
    audio = np.concatenate([sounds.normal(0, 20 + 50 * len(phone), end - start) for start, end, phone in segments])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.astype(np.int16), 16_000, "PCM_16", format="NIST" if sphere else "WAV")
    lines = [f"{start} {end} {phone}\n" for start, end, phone in segments]
    path.with_suffix(".PHN" if sphere else ".phn").write_text("".join(lines))


SLICES = {
    "paths": {"alphas": [-1.0, 2.0, 4], "batch_norm": ["batch", "interpolated"]},
    "random_lines": {"alphas": [-1.0, 1.0, 3]},
    "planes": {"grid": [-1.0, 1.0, 3], "points": 3},
    "examples": 40,
}
SHARPNESS = {"methods": ["paper"], "batch_norm": ["batch"], "subspace_dim": 5, "draws": 1, "examples": 20}
TINY = {
    "name": "tiny",
    "data": {"name": "digits", "examples": 80},
    "network": {"name": "F1", "width": 4},
    "seeds": [0],
    "regimes": {"small_batch": {"batch_size": 16}, "large_batch": {"batch_size": "50%"}},
    "training": {"epochs": 1},
    "sharpness": None,
    "slices": None,
    "resources": {"device": "cpu", "wandb": {"mode": "disabled"}},
}

MEASURED = {"sharpness": SHARPNESS, "slices": SLICES}


@pytest.fixture(scope="session")
def experiment() -> Callable[..., Comparison]:
    """Makes a tiny experiment with some sections changed; ``measured`` has sharpness and every kind of slice."""

    def made(*, measured: bool = False, **changes: Any) -> Comparison:
        return Comparison.model_validate({**TINY, **(MEASURED if measured else {}), **changes})

    return made

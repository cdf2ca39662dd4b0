import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from flatmin.cli import main

EXPERIMENT = """
name: tiny
about: "A first look [at nothing] :smile:"
data: {name: digits, examples: 80}
network: {name: F1, width: 4}
seeds: [0]
regimes: {small_batch: {batch_size: 16}, large_batch: {batch_size: 50%}}
training: {epochs: 2}
sharpness: {methods: [paper], batch_norm: [batch], spaces: [full], epsilons: [1.0e-3], examples: 20}
slices:
  paths: {alphas: [-1.0, 2.0, 4]}
  random_lines: {alphas: [-1.0, 1.0, 3]}
  planes: {grid: [-1.0, 1.0, 3], points: 3}
  examples: 40
  splits: [train]
resources: {device: cpu}
"""


class Said(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny experiment."""
    path = tmp_path_factory.mktemp("experiments") / "tiny.yaml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def flatmin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Calls the command line in this process."""

    def command(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["flatmin", *map(str, arguments)])
        with pytest.raises(SystemExit, match=r"^\d+$") as end:
            main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return command

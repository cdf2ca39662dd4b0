"""``kill -9`` at ten moments of a run: the same command ends with the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("killed_runs.py")
EXPERIMENT = """
name: tiny
data: {name: digits, examples: 100}
network: {name: F1, width: 8}
seeds: [0]
regimes: {small_batch: {batch_size: 10}, large_batch: {batch_size: 50%}}
training: {epochs: 40}
sharpness: {methods: [paper], spaces: [full, random], batch_norm: [batch], subspace_dim: 3, draws: 1, examples: 20}
slices:
  paths: {alphas: [-1.0, 2.0, 301], curves: [linear]}
  random_lines: null
  planes: {grid: [-1.0, 1.0, 15], points: 21}
resources: {device: cpu, wandb: {mode: disabled}}
"""


def results(folder: Path) -> dict[str, bytes]:
    """All that a study leaves, save where and when it was made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", ".tables.lock", ".drawn", "provenance.json")
    }


@pytest.mark.slow
def test_killed_run_ends_as_if_it_had_never_stopped(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(EXPERIMENT)
    command = [sys.executable, str(DRIVER), str(file), str(tmp_path / "whole"), str(tmp_path / "cut")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10 and not done.stderr
    whole, cut = results(tmp_path / "whole"), results(tmp_path / "cut")
    assert sum(name.endswith("result.json") for name in whole) == 2 + 4 + 4
    assert any(name.endswith("arrays.npz") for name in whole)
    assert cut == whole

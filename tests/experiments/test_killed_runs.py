"""``kill -9`` and ``kill`` at several moments of a run: the same command ends with the same bytes."""

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
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_stopped_run_ends_as_if_it_had_never_stopped(tmp_path, name):
    file, times = tmp_path / "tiny.yaml", 5
    file.write_text(EXPERIMENT)
    command = [sys.executable, str(DRIVER), str(file), str(tmp_path / "whole"), str(tmp_path / "cut"), name, str(times)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    ends = [(status, said) for status, said, records, *_ in lines if int(records) < 10]  # else it may have ended first
    gone = ("-9", "") if name == "SIGKILL" else ("143", "Interrupted; the same command goes on from here.")
    assert len(ends) >= 3 and set(ends) == {gone} and not done.stderr
    whole, cut = results(tmp_path / "whole"), results(tmp_path / "cut")
    assert sum(path.endswith("result.json") for path in whole) == 2 + 4 + 4
    assert any(path.endswith("arrays.npz") for path in whole)
    assert cut == whole


@pytest.mark.slow
def test_sigterm_is_no_success_for_whoever_trains_from_python(tmp_path):
    code = """
import os, signal, threading
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
import sys, pathlib
study = Study.of(load_experiment(sys.argv[1], ["training.epochs=100000"]), results=pathlib.Path(sys.argv[2]))
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
run(study)
"""
    file = tmp_path / "tiny.yaml"
    file.write_text(EXPERIMENT)
    command = [sys.executable, "-c", code, str(file), str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (143, "")

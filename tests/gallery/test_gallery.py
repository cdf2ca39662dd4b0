"""The gallery: every script runs as it stands, is short, and is in its table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))
MARK = "# From the model to a picture\n"


def test_there_is_one_for_each_kind_of_network():
    listed = (GALLERY / "README.md").read_text()
    assert len(SCRIPTS) >= 6
    assert all(f"[`{script.name}`]({script.name})" in listed for script in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_takes_at_most_fifteen_lines_from_the_model_to_a_picture(script, tmp_path):
    below = script.read_text().partition(MARK)[2]
    assert 0 < sum(bool(line.strip()) for line in below.splitlines()) <= 15
    environment = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(GALLERY.parent), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "caution" not in done.stdout
    assert (tmp_path / f"{script.stem}.png").stat().st_size > 10_000

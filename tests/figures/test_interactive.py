"""Interactive surfaces: what the page holds, read back from its JSON."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest
import torch

import flatmin
from flatmin.core.errors import FlatminError
from flatmin.core.functions import FunctionObjective
from flatmin.figures import interactive
from flatmin.landscapes import Plane

AXES = tuple(torch.eye(2))
GRID = [-1.0, 0.0, 0.5], [-2.0, 0.0, 1.0, 3.0]


def plane(floor: float = 0.5) -> Plane:
    """Infinite at alpha below -0.9."""
    return flatmin.slice_2d(
        FunctionObjective(lambda t: torch.where(t[0] < -0.9, torch.inf, floor + t[0] + 4 * t[1] ** 2), torch.zeros(2)),
        AXES,
        GRID,
    )


def drawn(path) -> dict:
    """The first surface of a page."""
    data = re.search(r'newPlot\(\s*"[^"]*",\s*(\[.*?\}\]),\s*\{', path.read_text(), re.DOTALL)[1]
    return json.loads(data)[0]


def numbers(value) -> np.ndarray:
    if not isinstance(value, dict):
        return np.array(value, dtype=float)
    flat = np.frombuffer(b64decode(value["bdata"]), value["dtype"])
    return flat.reshape([int(side) for side in value["shape"].split(",")]) if "shape" in value else flat


def needs_plotly() -> None:
    pytest.importorskip("plotly", reason="plotly (the extra `interactive`) is not installed")


def test_a_page_holds_the_plane_and_all_that_shows_it(tmp_path):
    needs_plotly()
    found = plane()
    path = found.to_html(tmp_path / "plane.html", title="mine")
    surface, text = drawn(path), path.read_text()
    losses = numbers(surface["customdata"])
    finite = np.isfinite(found.loss.numpy().T)
    assert losses[finite] == pytest.approx(found.loss.numpy().T[finite])
    assert np.isnan(numbers(surface["z"])).sum() == (~finite).sum() == 4
    assert numbers(surface["z"])[finite].max() == 10.0  # the flat top
    assert "mine" in text and "4 of 12 cells not finite" in text
    assert len(text) > 1e6 and not re.search(r"<script[^>]* src=", text)


def test_negative_losses_have_colours_in_equal_steps(tmp_path):
    needs_plotly()
    surface = drawn(plane(floor=-3.0).to_html(tmp_path / "plane.html"))
    assert surface["cmin"] == -3.0 and "log" not in json.dumps(surface["colorbar"])


def test_equal_planes_give_equal_pages(tmp_path):
    needs_plotly()
    first, second = (plane().to_html(tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_without_plotly_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(interactive, "find_spec", lambda name: None)
    with pytest.raises(FlatminError, match=r'pip install "flatmin\[interactive\]"'):
        plane().to_html(tmp_path / "plane.html")
    assert not list(tmp_path.iterdir())

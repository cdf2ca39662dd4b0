"""What curvature looks like: spectra, escapes, planes along eigenvectors."""

import matplotlib
import pytest
import torch

from flatmin import escape, slice_2d, spectral_density, spectrum, top_eigenvalues
from flatmin.core.functions import QuadraticObjective

matplotlib.use("Agg")
from matplotlib import pyplot

BOWL = QuadraticObjective(torch.cat([torch.linspace(0, 1, 60), torch.tensor([4.0, 9.0])]).double())


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def test_a_density_has_an_area_of_one_and_the_spectrum_lies_on_its_points():
    exact = spectrum(BOWL)
    ax = exact.plot(width=0.1)
    across, up = ax.lines[0].get_data()
    assert torch.trapezoid(torch.as_tensor(up), torch.as_tensor(across)) == pytest.approx(1, abs=0.02)
    assert ax.get_yscale() == "log" and "eigenvalue" in ax.get_xlabel()


def test_several_probes_are_drawn_in_a_band_and_on_one_axis():
    ax = spectral_density(BOWL, probes=3, steps=20).plot(label="lanczos")
    spectrum(BOWL).plot(ax=ax, label="exact")
    assert ax.collections and [text.get_text() for text in ax.get_legend().get_texts()] == ["lanczos", "exact"]
    with pytest.raises(ValueError, match="`width` must be positive"):
        spectrum(BOWL).plot(width=0.0)


def test_an_escape_is_drawn_beside_its_model():
    ax = escape(QuadraticObjective([-1.0, 2.0], constant=1.0)).plot()
    loss, model = (line.get_ydata() for line in ax.lines[:2])
    assert loss == pytest.approx(model) and "length" in ax.get_xlabel()


def test_a_plane_along_eigenvectors_has_their_values_on_its_axes():
    top = top_eigenvalues(BOWL, k=2)
    plane = slice_2d(BOWL, tuple(top.vectors), ([-1, 0, 1], [-1, 0, 1]))
    ax = plane.plot(labels=top.names)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("eigenvector of λ = 9", "eigenvector of λ = 4")
    assert float(plane.loss[2, 1]) == pytest.approx(4.5, rel=1e-4)
    with pytest.raises(ValueError, match="`labels` must be two texts"):
        plane.plot(labels="xy")

"""How the loss is curved where a network stands: eigenvalues, trace and spectrum of its Hessian, critical points."""

from flatmin.curvature.critical_points import CriticalPoint, critical_point
from flatmin.curvature.density import Density, spectral_density
from flatmin.curvature.diagonals import Diagonal, diagonal
from flatmin.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from flatmin.curvature.escapes import Escape, escape
from flatmin.curvature.spectra import Spectrum, hessian, spectrum
from flatmin.curvature.stationary import Stationary, find_critical_point
from flatmin.curvature.traces import Trace, trace
from flatmin.curvature.views import empirical_fisher, gauss_newton, linear_operator

__all__ = [
    "CriticalPoint",
    "Density",
    "Diagonal",
    "Eigenvalues",
    "Escape",
    "Spectrum",
    "Stationary",
    "Trace",
    "critical_point",
    "diagonal",
    "empirical_fisher",
    "escape",
    "find_critical_point",
    "gauss_newton",
    "hessian",
    "linear_operator",
    "spectral_density",
    "spectrum",
    "top_eigenvalues",
    "trace",
]

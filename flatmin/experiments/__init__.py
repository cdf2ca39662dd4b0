"""Experiments: from a YAML file to trained networks, sharpness, slices, tables and figures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Experiment": "flatmin.experiments.config",
    "Reporter": "flatmin.experiments.runner",
    "Study": "flatmin.experiments.study",
    "load_experiment": "flatmin.experiments.loading",
    "run": "flatmin.experiments.runner",
}

__all__ = ["Experiment", "Reporter", "Study", "load_experiment", "run"]

if TYPE_CHECKING:
    from flatmin.experiments.config import Experiment
    from flatmin.experiments.loading import load_experiment
    from flatmin.experiments.runner import Reporter, run
    from flatmin.experiments.study import Study


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a file is checked without torch.

    Raises:
        AttributeError: If it is no public name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'flatmin.experiments' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

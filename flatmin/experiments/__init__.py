"""Experiments: from a YAML file to trained networks, sharpness, slices, tables and figures."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "Experiment": "flatmin.experiments.config",
    "Reporter": "flatmin.experiments.runner",
    "Study": "flatmin.experiments.study",
    "load_experiment": "flatmin.experiments.loading",
    "run": "flatmin.experiments.runner",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = ["Experiment", "Reporter", "Study", "load_experiment", "run"]

if TYPE_CHECKING:
    from flatmin.experiments.config import Experiment
    from flatmin.experiments.loading import load_experiment
    from flatmin.experiments.runner import Reporter, run
    from flatmin.experiments.study import Study

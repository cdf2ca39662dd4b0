"""Experiments: from a YAML file to trained networks, sharpness, slices, tables and figures."""

from flatmin.experiments.config import Experiment, load_experiment
from flatmin.experiments.runner import Reporter, Study, run

__all__ = ["Experiment", "Reporter", "Study", "load_experiment", "run"]

"""The files of the study of momentum: figures of the parts that were done, and animations of what moves."""

from pathlib import Path

from flatmin.core.errors import ResultsError
from flatmin.figures.animations import animation_written
from flatmin.figures.render import figure_written
from flatmin.results import Tables
from flatmin.studies.momentum.ball_figure import ball
from flatmin.studies.momentum.ends_figure import ends
from flatmin.studies.momentum.identity_figure import identity
from flatmin.studies.momentum.motion import ball_motion, saddle_motion
from flatmin.studies.momentum.saddle_figure import saddle


def written(tables: Tables, out: Path) -> list[Path]:
    """Draw all that the tables support.

    Raises:
        ResultsError: If they are all empty.
    """
    files, frames = list[Path](), tables.frames
    for name, draw in (("momentum_identity", identity), ("momentum_saddle", saddle), ("momentum_ends", ends)):
        if len(frames[name]):
            files += figure_written(out, name, draw(tables), frames[name])
    if len(frames["momentum_ball"]) and len(frames["momentum_sweep"]):
        files += figure_written(out, "momentum_ball", ball(tables), frames["momentum_ball"])
        files += animation_written(out, "momentum_ball_rolling", ball_motion(tables))
    if len(frames["momentum_saddle"]):
        files += animation_written(out, "momentum_saddle_passing", saddle_motion(tables))
    if not files:
        raise ResultsError("the tables of the study of momentum are empty, so there is nothing to draw.")
    return files

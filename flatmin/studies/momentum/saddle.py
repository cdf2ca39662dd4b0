"""The toy network's saddle: who starts on the line that leads into it, and who starts a little beside."""

from dataclasses import dataclass
from typing import Any

from flatmin.studies.momentum.settings import Saddle
from flatmin.studies.toy.steps import DescentStep

TABLE = "momentum_saddle"


@dataclass(frozen=True)
class SaddleStep(DescentStep):
    """A descent of the toy network from so far beside the line w1 = -w2.

    Args:
        perturbation: How far the start was moved along (1, 1), per coordinate.
    """

    perturbation: float

    kind = TABLE
    noun = "descents beside a saddle"

    @property
    def label(self) -> str:
        """Such as ``momentum_1e-06``."""
        return f"{self.method}_{self.perturbation:g}"

    @property
    def facts(self) -> dict[str, Any]:  # type: ignore[override]
        """Method and how far beside the line."""
        return {"method": self.method, "perturbation": self.perturbation}


def steps_of(asked: Saddle) -> list[SaddleStep]:
    """Both methods from every start."""
    return [
        SaddleStep(
            (asked.start[0] + moved, asked.start[1] + moved),
            method,
            asked.learning_rate,
            momentum,
            asked.steps,
            asked.reached,
            moved,
        )
        for moved in asked.perturbations
        for method, momentum in (("descent", 0.0), ("momentum", asked.momentum))
    ]

"""Weights & Biases as a mirror of the results on disk: nothing it does or fails to do stops an experiment."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from flatmin.experiments.config import Experiment
from flatmin.experiments.step import Step
from flatmin.results import Tables, ratios, summary

_log = logging.getLogger(__name__)
INIT_SECONDS = 30
SHOWN_TABLES = ("minima", "sharpness", "lines", "planes", "points")


class MirrorLogger(Logger):
    """Lightning's W&B logger, except that its first failure ends it with a warning instead of the run.

    Args:
        open_logger: Makes the logger.
    """

    def __init__(self, open_logger: Callable[[], WandbLogger]) -> None:
        super().__init__()
        self._logger: WandbLogger | None = None
        self._attempt(lambda: self._open(open_logger))

    def _open(self, open_logger: Callable[[], WandbLogger]) -> None:
        self._logger = open_logger()
        self._logger.experiment  # noqa: B018 - starts the run

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _log.warning("Weights & Biases is left out from here on: %s", reason)
            self._logger = None

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "wandb"

    @property
    def version(self) -> str:
        """The run's id, empty once W&B has failed."""
        return str(self._logger.version) if self._logger else ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The setup is the run's config already."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log one row of numbers."""
        if (logger := self._logger) is not None:
            self._attempt(lambda: logger.log_metrics(dict(metrics), step=step))

    def finish(self, numbers: Mapping[str, Any], media: Callable[[], Mapping[str, Any]] = dict) -> None:
        """Write the summary and end the run.

        Args:
            numbers: Summary numbers.
            media: Makes tables and images to log.
        """

        def act() -> None:
            assert self._logger is not None
            run = self._logger.experiment
            if things := media():
                run.log(dict(things))
            run.summary.update(dict(numbers))
            run.finish()

        if self._logger is not None:
            self._attempt(act)


class Mirror:
    """The W&B runs of an experiment: one a trained network, grouped by experiment and regime, and one for the study.

    Args:
        experiment: What is run; ``resources.wandb`` says whether and where it is mirrored.
        folder: The experiment's folder; offline runs are kept in its ``wandb/``.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self.experiment, self.folder = experiment, folder
        self.settings = experiment.resources.wandb

    def training(self, step: Step, record_id: str) -> MirrorLogger | None:
        """The run of one network; going on with it where an interrupted one was."""
        if self.settings.mode == "disabled":
            return None
        return self._run(step.label, record_id, str(step.facts["regime"]), step.setup)

    def study(self, tables: Tables, figures: list[Path]) -> None:
        """Log the tables, the means over seeds and the figures of the whole experiment."""
        if self.settings.mode == "disabled":
            return
        import wandb

        def media() -> dict[str, Any]:
            frames = {name: frame for name, frame in tables.frames.items() if name in SHOWN_TABLES and len(frame)}
            frames |= {"summary": summary(tables), "ratios": ratios(tables)}
            shown: dict[str, Any] = {f"tables/{name}": wandb.Table(dataframe=frame) for name, frame in frames.items()}
            images = (path for path in figures if path.suffix == ".png")
            return shown | {f"figures/{path.stem}": wandb.Image(str(path)) for path in images}

        config = self.experiment.model_dump(mode="json")
        logger = self._run(f"{self.experiment.name}-study", None, "study", config)
        logger.finish(numbers(tables), media)

    def _run(self, name: str, run_id: str | None, job_type: str, config: Mapping[str, Any]) -> MirrorLogger:
        import wandb

        online = self.settings.mode == "online"

        def opened() -> WandbLogger:
            self.folder.mkdir(parents=True, exist_ok=True)
            return WandbLogger(
                name=name,
                id=run_id[:16] if run_id else None,
                project=self.settings.project,
                entity=self.settings.entity,
                group=self.experiment.name,
                job_type=job_type,
                tags=[self.experiment.network.name, self.experiment.data.name],
                config=dict(config),
                save_dir=self.folder,
                offline=not online,
                resume="allow" if online else None,
                reinit="finish_previous",
                settings=wandb.Settings(silent=True, console="off", init_timeout=INIT_SECONDS, x_disable_stats=True),
            )

        return MirrorLogger(opened)


def numbers(tables: Tables) -> dict[str, float]:
    """The means over seeds, flat: ``small_batch/test_accuracy``, ``large_batch/sharpness/full/0.001/strong/batch``."""
    found = {}
    for row in summary(tables).to_dict("records"):
        parts = [row["regime"], row["quantity"]]
        if row["quantity"] == "sharpness":
            parts += [row["space"], f"{row['epsilon']:g}", row["method"], row["batch_norm"]]
        found["/".join(map(str, parts))] = float(row["mean"])
    return found

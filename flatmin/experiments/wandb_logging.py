"""Weights & Biases as a mirror of the results on disk: nothing it does or fails to do stops an experiment."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import Logger, WandbLogger

from flatmin.experiments.config import Experiment
from flatmin.results.wandb_keys import STUDY, figure_key, page_key, study_name

if TYPE_CHECKING:
    from wandb import Run

_log = logging.getLogger(__name__)
INIT_SECONDS = 30


class Mirror:
    """The W&B runs of an experiment: one a trained network, grouped by experiment and regime, and one for the study.

    The first failure ends the mirroring with a warning: what does not answer once is not asked again.

    Args:
        experiment: What is run; ``resources.wandb`` says whether and where it is mirrored.
        folder: The experiment's folder; offline runs are kept in its ``wandb/``.
        tags: Names under which its runs are found.
    """

    def __init__(self, experiment: Experiment, folder: Path, tags: Sequence[str] = ()) -> None:
        self.experiment, self.folder, self.tags = experiment, folder, tags
        self.settings = experiment.resources.wandb
        self.working = self.settings.mode != "disabled"

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something with W&B, unless it has failed before."""
        if not self.working:
            return
        try:
            act()
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _log.warning("Weights & Biases is left out from here on: %s", reason)
            self.working = False

    def training(self, name: str, regime: str, record_id: str, config: Mapping[str, Any]) -> "MirrorLogger | None":
        """The run of one network; going on with it where an interrupted one was."""
        if not self.working:
            return None
        return MirrorLogger(self, name=name, run_id=record_id[:16], job_type=regime, config=config)

    def study(self, frames: Mapping[str, Any], numbers: Mapping[str, float], figures: list[Path]) -> None:
        """Log what the whole experiment found.

        Args:
            frames: Tables by key.
            numbers: Numbers by key.
            figures: Files of its figures.
        """

        def act() -> None:
            import wandb

            run = self.open(
                name=study_name(self.experiment.name),
                run_id=None,
                job_type=STUDY,
                config=self.experiment.model_dump(mode="json"),
            )
            shown: dict[str, Any] = {key: wandb.Table(dataframe=frame) for key, frame in frames.items()}
            images = (path for path in figures if path.suffix == ".png")
            shown |= {page_key(path.stem): wandb.Html(str(path)) for path in figures if path.suffix == ".html"}
            run.log(shown | {figure_key(path.stem): wandb.Image(str(path)) for path in images})
            run.summary.update(dict(numbers))
            run.finish()

        self.attempt(act)

    def open(self, *, name: str, run_id: str | None, job_type: str, config: Mapping[str, Any]) -> "Run":
        """Start a run whose curves are drawn over the epochs."""
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off", init_timeout=INIT_SECONDS, x_disable_stats=True)
        wandb.setup(settings)  # `init` would take silence to heart only after it has said where it found the API key
        run = wandb.init(
            name=name,
            id=run_id,
            project=self.settings.project,
            entity=self.settings.entity,
            group=self.experiment.name,
            job_type=job_type,
            tags=list(self.tags),
            config=dict(config),
            dir=self.folder,
            mode=self.settings.mode,
            resume="allow" if self.settings.mode == "online" else None,
            reinit="finish_previous",
            settings=settings,
        )
        run.define_metric("*", step_metric="epoch")
        return run


class MirrorLogger(Logger):
    """Lightning's W&B logger of one training, behind a mirror that may fail without harm.

    Args:
        mirror: What opens the run.
        run: Name, id, job type and config of the run.
    """

    def __init__(self, mirror: Mirror, **run: Any) -> None:
        super().__init__()
        self._mirror = mirror
        self._logger: WandbLogger | None = None
        self._logged = set[float]()
        mirror.attempt(lambda: self._open(run))

    def _open(self, run: dict[str, Any]) -> None:
        self._logger = WandbLogger(experiment=self._mirror.open(**run))

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "wandb"

    @property
    def version(self) -> str:
        """The run's id, empty without a run."""
        return str(self._logger.version) if self._logger else ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The setup is the run's config already."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the row of an epoch."""
        if (logger := self._logger) is not None:
            self._logged.add(metrics["epoch"])
            self._mirror.attempt(lambda: logger.log_metrics(dict(metrics)))

    def finish(self, numbers: Mapping[str, Any], rows: Iterable[Mapping[str, float]]) -> None:
        """Write the summary and end the run.

        Args:
            numbers: Summary numbers.
            rows: Rows of all epochs; those from before an interruption are logged now.
        """
        if (logger := self._logger) is None:
            return
        for row in rows:
            if row["epoch"] not in self._logged:
                self.log_metrics(row)

        def act() -> None:
            logger.experiment.summary.update(dict(numbers))
            logger.experiment.finish()

        self._mirror.attempt(act)

"""Full batch against single examples on a small sample, Fig. 3.8 of Lee's book: both ways on the loss of all."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.small_sample.settings import SmallSample

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: SmallSample, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Plan the descents; there are no data to load.

    Raises:
        ConfigError: If a batch is larger than the sample.
    """
    from flatmin.core.cuts import cuts
    from flatmin.core.errors import ConfigError
    from flatmin.experiments.budget import cut
    from flatmin.experiments.devices import resolved_device
    from flatmin.experiments.step import Workplace
    from flatmin.experiments.study import Study
    from flatmin.results import Store
    from flatmin.results.remarks import Remark
    from flatmin.studies.small_sample.steps import LoaderStep, Sample, SurfaceStep, WayStep

    whole = experiment.epochs
    experiment = cut(experiment, experiment.budget)
    count, sizes = experiment.examples, experiment.batch_sizes
    if max(sizes) > count:
        raise ConfigError(f"batch_sizes must be at most the {count:,} examples, got {max(sizes):,}.")
    for examples, size in experiment.loaders:
        if size > examples:
            raise ConfigError(f"loaders must have no batch larger than its examples, got [{examples}, {size}].")
    updates = experiment.epochs * max(len(cuts(count, size)) for size in sizes)
    samples = [Sample(count, experiment.spread, experiment.noise, seed) for seed in experiment.seeds]
    steps: list[Any] = [LoaderStep(*numbers) for numbers in experiment.loaders]
    steps.append(SurfaceStep(samples[0], experiment.start))
    for sample in samples:
        steps += [WayStep(sample, size, experiment.start, experiment.learning_rate, updates) for size in sizes]
    return Study(
        experiment,
        steps,
        Workplace(resolved_device("cpu"), Store(folder)),
        outline=(
            f"{count} examples, batches of {' and '.join(map(str, sizes))}; "
            f"{experiment.epochs} epochs and {updates:,} updates",
        ),
        tags=("batches",),
        reduced=[Remark(f"{experiment.epochs} of {whole} epochs")] if experiment.epochs < whole else [],
    )


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the figure and the animation.

    Raises:
        ResultsError: If nothing went down.
    """
    from flatmin.core.errors import ResultsError
    from flatmin.figures.animations import animation_written
    from flatmin.figures.render import figure_written
    from flatmin.studies.small_sample.figure import small_sample
    from flatmin.studies.small_sample.motion import small_sample_motion

    ways = tables.frames["small_sample"]
    if ways.empty or tables.frames["small_sample_surface"].empty:
        raise ResultsError("the table `small_sample` or its surface is empty, so there is nothing to draw.")
    files = figure_written(out, "small_sample", small_sample(tables), ways)
    return files + animation_written(out, "small_sample_descending", small_sample_motion(tables))


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.small_sample.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="small_sample",
    words="Full batch and single examples on a small sample",
    settings=SmallSample,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "small_sample": (
            *("batch_size", "seed", "update", "epoch", "w1", "w2", "loss", "excess", "length", "displacement"),
        ),
        "small_sample_surface": ("w1", "w2", "loss", "least_w1", "least_w2"),
        "small_sample_loaders": ("examples", "batch_size", "loader", "walked", "ceiling"),
    },
)

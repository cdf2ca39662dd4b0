"""From the settings of a comparison to the steps that it asks for."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.functional import mse_loss

from flatmin.core.errors import ConfigError
from flatmin.core.fields import marked_below
from flatmin.data import Dataset, load
from flatmin.experiments import own
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.registry import builder
from flatmin.experiments.setups import Call, CalledData
from flatmin.experiments.step import Step
from flatmin.experiments.study import Study
from flatmin.experiments.training_step import TrainingStep
from flatmin.objective.batch_norm import batch_norm_layers
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.results.words import counted, label_of
from flatmin.studies.comparison.budget import examples_left, reductions, within_budget
from flatmin.studies.comparison.cautions import cautions
from flatmin.studies.comparison.plan import plan
from flatmin.studies.comparison.settings import Comparison
from flatmin.studies.comparison.singles import check_singles
from flatmin.training import TrainingSettings, start_network


def prepare(
    experiment: Comparison,
    *,
    folder: Path,
    data_root: Path | None,
    download: bool,
    planned: Callable[..., list[Step]] = plan,
) -> Study:
    """Load the data and plan the steps; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.
        planned: From the experiment, its data, what identifies the user's own and the folder's records to the steps.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If the setup does not fit the data, or the device is absent.
    """
    device = resolved_device(experiment.resources.device)
    whole = data_of(experiment, data_root, download=download)
    dataset = shortened(whole, experiment.data.examples)
    check_methods(experiment, dataset)
    available = len(dataset.train)
    dataset = shortened(dataset, examples_left(experiment, available))
    experiment = within_budget(experiment, available)
    build, loss, identities = network_and_loss(experiment, dataset)
    network, again = started_twice(build)
    own.check_start("network", network, again)
    own.check_fit(network, again, loss, dataset, ("network", "loss"))
    check_weights(experiment, network, loss, dataset)
    each = own.each_of(loss, network, dataset)
    laboratory = Laboratory(device, Store(folder), dataset=dataset, build=build, loss=loss, each=each)
    check_measures(experiment, network)
    if not batch_norm_layers(network):
        experiment = with_one_reading(experiment)
    try:
        steps = planned(experiment, dataset, identities, laboratory.store)
    except ConfigError as error:
        if len(dataset.train) == available:
            raise
        left = counted(len(dataset.train), "example")
        raise ConfigError(f"{error} The budget of {experiment.budget:g} leaves {left} to train on.") from None
    check_singles(experiment, network, dataset, steps)
    return Study(
        experiment,
        steps,
        laboratory,
        outline=tuple(outline_of(experiment, dataset, steps)),
        tags=(experiment.network.label, experiment.data.label),
        reduced=reductions(experiment, dataset, len(whole.train)),
        cautions=[
            *([Remark(own.NO_MEAN)] if each is None else []),
            *cautions(experiment, dataset, [step for step in steps if isinstance(step, TrainingStep)]),
        ],
        origins={"data": dataset.provenance, "examples": examples_behind(experiment, dataset)}
        | loss_words(experiment, loss),
    )


def data_of(experiment: Comparison, data_root: Path | None, *, download: bool) -> Dataset:
    """All the data that are asked for: those of the catalogue, or the user's own."""
    wanted = experiment.data
    if isinstance(wanted, CalledData):
        return own.dataset(wanted, own.found("data", wanted, experiment.folder))
    return load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)


def network_and_loss(
    experiment: Comparison, dataset: Dataset
) -> tuple[Callable[[], nn.Module], own.Loss, dict[str, dict[str, Any]]]:
    """What builds the network, the loss, and what identifies those that are the user's own."""
    identities: dict[str, dict[str, Any]] = {}
    if isinstance(experiment.network, Call):
        source = own.found("network", experiment.network, experiment.folder)
        identities["network"] = own.described(experiment.network, source)
        build = own.own_builder(experiment.network, source)
    else:
        build = builder(experiment.network, dataset)
    if experiment.loss is None:
        return build, own.loss_of(None, None, dataset), identities
    source = own.found("loss", experiment.loss, experiment.folder)
    identities["loss"] = own.described(experiment.loss, source)
    return build, own.loss_of(experiment.loss, source, dataset), identities


def started_twice(build: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    """The network at one start, made twice.

    Raises:
        ConfigError: If it does not fit into memory.
        RuntimeError: If it cannot be made for another reason.
    """
    try:
        return start_network(build, 0), start_network(build, 0)
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise ConfigError("network must fit into memory, and does not; make it smaller.") from None


def shortened(dataset: Dataset, examples: int | None) -> Dataset:
    """The data set with the first training examples only.

    Raises:
        ConfigError: If there are fewer.
    """
    if examples is None:
        return dataset
    if examples > len(dataset.train):
        raise ConfigError(f"data.examples must be at most the {len(dataset.train)} of {dataset.name}, got {examples}.")
    return replace(dataset, train=dataset.train.first(examples))


def check_methods(experiment: Comparison, dataset: Dataset) -> None:
    """Refuse what needs classes where the targets are real.

    Raises:
        ConfigError: If a variation trains by a method that cannot do with such targets.
    """
    for name, variation in experiment.variations.items():
        method = variation.method
        if method and method.needs_classes and not dataset.num_classes:
            raise ConfigError(
                f"variations.{name}.method must not be {method.name!r} for real targets: it needs classes."
            )


def check_weights(experiment: Comparison, network: nn.Module, loss: own.Loss, dataset: Dataset) -> None:
    """Refuse what weighs single examples where the loss is no mean over them.

    Raises:
        ConfigError: If a variation trains by a method that cannot do with such a loss.
    """
    for name, variation in experiment.variations.items():
        method = variation.method
        if method and method.needs_each and (reason := own.unweighable(loss, network, dataset)):
            raise ConfigError(f"variations.{name}.method must not be {method.name!r} with this loss: {reason}")


def check_measures(experiment: Comparison, network: nn.Module) -> None:
    """Refuse what a network of this size cannot be asked for.

    Raises:
        ConfigError: If the settings of a measure do not fit the number of weights.
    """
    size = sum(parameter.numel() for parameter in network.parameters())
    for measure, section in experiment.asked:
        if problem := measure.problem(section, size):
            raise ConfigError(problem)


def with_one_reading(experiment: Comparison) -> Comparison:
    """The experiment for a network without BatchNorm, whose readings are one: the first of each section."""

    def first(section: Any) -> Any:
        return section and section.model_copy(update={"batch_norm": section.batch_norm[:1]})

    measured = {measure.name: first(section) for measure, section in experiment.asked}
    slices = experiment.slices
    if slices is not None:
        slices = slices.model_copy(
            update={part: first(getattr(slices, part)) for part in ("paths", "random_lines", "planes")}
        )
    return experiment.model_copy(update=measured | {"slices": slices})


def outline_of(experiment: Comparison, dataset: Dataset, steps: list[Step]) -> Iterator[str]:
    """What is trained on what, and how."""
    training = experiment.training
    shape = " x ".join(map(str, dataset.input_shape))
    yield (
        f"{experiment.network.label} on {dataset.name} ({len(dataset.train):,} training, {len(dataset.test):,} test "
        f"examples of {shape}), seeds {', '.join(map(str, experiment.seeds))}, {training.epochs} epochs of "
        f"{training.optimizer}, learning rate {training.learning_rate:g}"
    )
    trained = {step.regime: step.settings for step in steps if isinstance(step, TrainingStep)}
    yield "batches: " + ", ".join(f"{label_of(name)} {batches_of(settings)}" for name, settings in trained.items())


def batches_of(settings: TrainingSettings) -> str:
    """The batch size, and in brackets whatever else of a training counts a batch, by its key."""
    others = ", ".join(f"{key} {value:,}" for key, (value,) in marked_below(settings, "batch"))
    return f"{settings.batch_size:,}" + (f" ({others})" if others else "")


def loss_words(experiment: Comparison, loss: own.Loss) -> dict[str, str]:
    """What the losses are called, where they are not the cross-entropy."""
    if experiment.loss is not None:
        return {"loss": experiment.loss.label.replace("_", " ")}
    return {"loss": "mean squared error"} if loss is mse_loss else {}


def examples_behind(experiment: Comparison, dataset: Dataset) -> dict[str, Any]:
    """Examples behind the losses of each table, training and test."""
    total, slices = len(dataset.train), experiment.slices
    lines = (slices.examples if slices else None) or total
    planes = (slices.planes.examples if slices and slices.planes else None) or lines
    tested = len(dataset.test)
    on_test = {"curves_test": tested, "lines_test": min(lines, tested), "planes_test": min(planes, tested)}
    return {"curves": total, "lines": min(lines, total), "planes": min(planes, total)} | on_test

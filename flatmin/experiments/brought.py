"""A network that someone brings, its weights in a file, as an objective."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from flatmin.core.errors import ConfigError
from flatmin.core.fields import known_keys
from flatmin.core.sources import said, source
from flatmin.experiments.brought_data import BroughtData
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.messages import first_problem
from flatmin.experiments.own import Loss, own_builder
from flatmin.experiments.registry import ANY_INPUT, IMAGES_32, builder
from flatmin.experiments.setups import Call
from flatmin.networks.choice import Network
from flatmin.networks.weights import load_weights
from flatmin.objective.objective import Objective
from flatmin.results.words import LOSS
from flatmin.training import start_network

KNOWN = (*ANY_INPUT, *IMAGES_32)
LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse_loss}
LOSS_NAMES = {"cross_entropy": LOSS, "mse": "mean squared error"}


@dataclass(frozen=True)
class _Sizes:
    """What of the examples decides the sizes of a known network, with what the user says of it."""

    name: str
    input_shape: tuple[int, ...]
    num_classes: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Brought:
    """All that an objective is made of but the weights.

    Attributes:
        label: What the network is called.
        build: Builds it.
        data: The examples.
        loss: The mean loss of a batch.
        loss_name: What it is called.
        device: Where it is computed.
    """

    label: str
    build: Callable[[], nn.Module]
    data: BroughtData
    loss: Loss
    loss_name: str
    device: torch.device

    @classmethod
    def of(
        cls, network: str, data: BroughtData, *, arguments: Sequence[str], loss: str | None, device: str, folder: Path
    ) -> "Brought":
        """Find what the options name.

        Args:
            network: ``F1`` to ``C4``, ``module:function`` or ``file.py:function``; what is named is called.
            data: The examples.
            arguments: ``KEY=VALUE`` for each argument of the network.
            loss: ``cross_entropy``, ``mse``, ``module:function`` or ``file.py:function``; ``None`` takes the first for
                classes and the second for real targets.
            device: ``auto`` or a device of torch.
            folder: Where files are looked for.

        Raises:
            ConfigError: If there is no such thing, or an argument does not fit.
        """
        given = dict(map(_argument, arguments))
        if network in KNOWN:
            build = _known(network, given, data)
        elif ":" in network:
            try:
                section = Call(call=network, **given)
            except ValidationError:
                raise ConfigError(f"--network must be module:function or file.py:function, got {network!r}.") from None
            build = own_builder(section, source("--network", network, folder))
        else:
            known = ", ".join(KNOWN)
            raise ConfigError(
                f"--network must be module:function, file.py:function or one of {known}, got {network!r}."
            )
        loss = loss or ("cross_entropy" if data.num_classes else "mse")
        return cls(
            label=network,
            build=build,
            data=data,
            loss=_loss(loss, folder),
            loss_name=LOSS_NAMES.get(loss, loss.rpartition(":")[2].replace("_", " ")),
            device=_device(device),
        )

    def network(self, checkpoint: Path) -> nn.Module:
        """The network with the weights of a file.

        Raises:
            CheckpointError: If the file cannot be read or does not fit the network.
        """
        network = start_network(self.build, 0)
        load_weights(network, checkpoint)
        return network

    def objective(self, checkpoint: Path, batch_norm: str) -> Objective:
        """The loss of the network with the weights of a file.

        Raises:
            CheckpointError: If the file cannot be read or does not fit the network.
            ConfigError: If network, data and loss do not fit each other, or the loss is not finite.
        """
        return self.loss_of(self.network(checkpoint), checkpoint, batch_norm)

    def loss_of(
        self, network: nn.Module, checkpoint: Path, batch_norm: str, batches: Sequence[Any] | None = None
    ) -> Objective:
        """The loss of a network whose weights come from a file.

        Args:
            network: The network.
            checkpoint: The file, for a message.
            batch_norm: The reading of BatchNorm.
            batches: Other batches than those brought.

        Raises:
            ConfigError: If network, data and loss do not fit each other, or the loss is not finite.
        """
        data = self.data.batches if batches is None else batches
        try:
            objective = Objective(network, self.loss, data, batch_norm=batch_norm, device=self.device)
            value = float(objective.value())
        except Exception as error:  # the user's own code can raise anything
            raise ConfigError(
                f"the network {self.label} cannot be evaluated on {self.data.name}: {said(error)}"
            ) from error
        if not torch.tensor(value).isfinite():
            raise ConfigError(f"the loss of {checkpoint} on {self.data.name} must be finite, got {value}.")
        return objective


def _argument(text: str) -> tuple[str, Any]:
    """A key with its value: JSON where it is that, else text.

    Raises:
        ConfigError: If it is not KEY=VALUE.
    """
    key, _, value = text.partition("=")
    if not (key.isidentifier() and value):
        raise ConfigError(f"--with must be KEY=VALUE, such as width=64, got {text!r}.")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value


def _known(name: str, given: dict[str, Any], data: BroughtData) -> Callable[[], nn.Module]:
    given = dict(given)
    classes = given.pop("num_classes", data.num_classes)
    if not (isinstance(classes, int) and classes > 0):
        raise ConfigError(f"--with num_classes must be the number of outputs of {name}, got {classes!r}.")
    try:
        network = Network.model_validate({"name": name, **given})
    except ValidationError as error:
        _, sentence = first_problem(error.errors(include_url=False), known_keys(Network), ["name"])
        raise ConfigError(f"--with: {sentence}") from None
    return builder(network, _Sizes(data.name, data.input_shape, classes))


def _loss(name: str, folder: Path) -> Loss:
    if name in LOSSES:
        return LOSSES[name]
    if ":" not in name:
        known = ", ".join(LOSSES)
        raise ConfigError(f"--loss must be module:function, file.py:function or one of {known}, got {name!r}.")
    return source("--loss", name, folder).bound({})


def _device(name: str) -> torch.device:
    try:
        return resolved_device(name)
    except RuntimeError:
        raise ConfigError(f"--device must be auto or a device of torch such as cpu or cuda:0, got {name!r}.") from None
    except ConfigError:
        count = torch.cuda.device_count()
        raise ConfigError(f"--device is {name!r}, but torch sees {count} GPUs; use auto.") from None

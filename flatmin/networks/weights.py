"""Weights from a file into a network: Lightning's ``.ckpt``, ``.pt`` and ``.pth``, ``.safetensors``.

No code in a file is ever run: files of torch are read with ``weights_only=True``, those of safetensors hold none.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from flatmin.core.errors import CheckpointError

Weights = dict[str, Tensor]

PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What DataParallel, torch.compile and Lightning modules put before the names of a network."""
INSIDE = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
"""Where a file that holds more has the weights."""
COUNTER = "num_batches_tracked"
NAMED = 3
"""Names that an error lists of each kind."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Set the weights and buffers of a network to those in a file, in place.

    Args:
        network: Built, with the shapes that the file has.
        path: The file. Prefixes that wrappers put before every name are taken off, where the names do not fit with
            them.

    Raises:
        CheckpointError: If the file cannot be read, holds more than weights or none, or names or shapes do not fit.
    """
    own = network.state_dict()
    content = read(path)
    weights = fitted(weights_in(content, path), own.keys())
    check_fit(path, weights, own, options_in(content))
    network.load_state_dict(weights, strict=False)


def read(path: Path) -> object:
    """What a file holds.

    Raises:
        CheckpointError: If there is no such file, it cannot be read, or it holds more than weights.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}.")
    return _of_safetensors(path) if path.suffix == ".safetensors" else _of_torch(path)


def options_in(found: object) -> dict[str, object]:
    """The numbers, strings and shapes among the hyperparameters that Lightning keeps beside the weights."""
    kept = found.get("hyper_parameters") if isinstance(found, Mapping) else None
    pairs = kept.items() if isinstance(kept, Mapping) else ()
    return {str(name): value for name, value in pairs if isinstance(value, bool | int | float | str | tuple)}


def weights_in(found: object, path: Path) -> Weights:
    """The weights in the content of a file by their names there.

    Raises:
        CheckpointError: If it holds none.
    """
    places = [found.get(name) for name in INSIDE] if isinstance(found, Mapping) else []
    for place in (found, *places):
        if isinstance(place, Mapping) and place and all(isinstance(value, Tensor) for value in place.values()):
            return {str(name): tensor for name, tensor in place.items()}
    if isinstance(found, Mapping):
        got = f"a dict with {_listed(map(str, found))}" if found else "an empty dict"
    else:
        got = type(found).__name__
    raise CheckpointError(f"{path} must hold a state dict, by itself or under {', '.join(INSIDE[:2])}; got {got}.")


def _of_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise CheckpointError(f"reading {path} needs safetensors: pip install 'flatmin[safetensors]'.") from None
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is no sound safetensors file: {_said(error)}.") from error


def _of_torch(path: Path) -> object:
    _check_stored(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path} holds more than weights ({named[1]}), and what else a file holds is never run; save "
                "model.state_dict() alone."
            ) from None
        raise CheckpointError(f"{path} holds no weights of torch, or is damaged.") from error
    except Exception as error:  # a damaged file can make torch raise nearly anything
        raise CheckpointError(f"{path} cannot be read as a file of torch: {_said(error)}.") from error


def _check_stored(path: Path) -> None:
    """Check that an archive holds no more than the file has bytes: torch compresses nothing.

    Raises:
        CheckpointError: If it does, or is damaged.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise CheckpointError(f"{path} cannot be read as a file of torch: {_said(error)}.") from error
    if unpacked > path.stat().st_size:
        raise CheckpointError(f"{path} is compressed, to {unpacked:,} bytes unpacked; torch writes no such file.")


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def fitted(weights: Weights, known: Iterable[str]) -> Weights:
    """The weights without what wrappers put before their names; as they are, where no taking off makes them fit better.

    Example:
        >>> list(fitted({"module.0.weight": torch.ones(1), "module.0.bias": torch.ones(1)}, ["0.weight", "0.bias"]))
        ['0.weight', '0.bias']
    """
    known = set(known)
    best, now = weights, weights
    while now:
        if len(known & now.keys()) > len(known & best.keys()):
            best = now
        prefix = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in now)), None)
        if prefix is not None:
            now = {name.removeprefix(prefix): tensor for name, tensor in now.items()}
        elif any("._orig_mod." in name for name in now):
            now = {name.replace("._orig_mod.", "."): tensor for name, tensor in now.items()}
        else:
            break
    return best


def check_fit(path: Path, weights: Weights, own: Mapping[str, Tensor], options: Mapping[str, object]) -> None:
    """Refuse weights that are not those of a network; the error has the options that the file says it was built with.

    Raises:
        CheckpointError: If a name is missing or unknown, or a shape is another.
    """
    for name, tensor in own.items():
        if name in weights and _sort(weights[name]) != _sort(tensor) and not name.endswith(COUNTER):
            of = f"{weights[name].dtype} in the file, {tensor.dtype} in the network".replace("torch.", "")
            raise CheckpointError(f"{path} does not fit the network: {_plain(name)} is {of}.")
    missing = [name for name in own if name not in weights and not name.endswith(COUNTER)]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name} ({_shape(weights[name])} in the file, {_shape(own[name])} in the network)"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    kinds = {"missing in the file": missing, "unknown to the network": unexpected, "of another shape": shapes}
    if problems := [f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names]:
        said = ", ".join(f"{name}={value}" for name, value in options.items())
        built = f" Its hyper_parameters: {said:.300}." if said else ""
        raise CheckpointError(f"{path} does not fit the network; {'; '.join(problems)}.{built}")


def _plain(name: str) -> str:
    """A name that no terminal takes for a command."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def _sort(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_complex(), tensor.is_floating_point()


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _listed(names: Iterable[str]) -> str:
    names = [*map(_plain, names)]
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")

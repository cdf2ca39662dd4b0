"""Python callables named in a file: found, imported, and known by what their source says."""

import ast
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import import_module, metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from flatmin.core.errors import ConfigError


@dataclass(frozen=True)
class Source:
    """A callable with where it comes from.

    Attributes:
        key: Setting that names it, for errors.
        call: As written: ``module:name``, or ``file.py:name`` with the file beside the experiment's.
        function: What was found.
        digest: Of the source of its module, and of all that this imports from its own folder or package; for an
            installed distribution, of the module and the distribution's version.
    """

    key: str
    call: str
    function: Callable[..., Any]
    digest: str

    @property
    def name(self) -> str:
        """The callable's own name."""
        return self.call.rpartition(":")[2]

    def __call__(self, **arguments: Any) -> Any:
        """Call it.

        Raises:
            ConfigError: If it takes other arguments, or raises.
        """
        try:
            inspect.signature(self.function).bind(**arguments)
        except TypeError as error:
            raise ConfigError(f"{self.key}: {self.call} cannot be called with {_listed(arguments)}: {error}.") from None
        except ValueError:
            pass  # a callable without a signature says at the call what it takes
        try:
            return self.function(**arguments)
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{self.key}: {self.call} raised {said(error)}") from error

    def bound(self, arguments: dict[str, Any]) -> Callable[..., Any]:
        """A class made with the arguments, or a function that gets them at each call.

        Raises:
            ConfigError: If a class does not take the arguments, raises, or makes what cannot be called.
        """
        if inspect.isclass(self.function):
            found = self(**arguments)
            if not callable(found):
                raise ConfigError(f"{self.key}: {self.call} must be callable once it is made, got {found!r}.")
            return found  # type: ignore[no-any-return]
        return partial(self.function, **arguments) if arguments else self.function


def source(key: str, call: str, folder: Path) -> Source:
    """Find and import a callable.

    Args:
        key: Setting that names it, for errors.
        call: ``module:name`` or ``file.py:name``.
        folder: Where files are looked for.

    Raises:
        ConfigError: If there is no such file, module or name, the import fails, or it is not callable.
    """
    place, _, name = call.rpartition(":")
    if not (place and name.isidentifier()):
        raise ConfigError(f"{key} must be module:name or file.py:name, got {call!r}.")
    module = _from_file(key, folder / place) if place.endswith(".py") else _from_package(key, place)
    function = getattr(module, name, None)
    if function is None:
        known = [other for other, value in vars(module).items() if callable(value) and not other.startswith("_")]
        raise ConfigError(f"{key}: {place} has no {name!r}; it has {', '.join(known) or 'nothing that can be called'}.")
    if not callable(function):
        raise ConfigError(f"{key}: {call} must be callable, got {type(function).__name__}.")
    return Source(key, call, function, _digest(module))


def said(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}."


def _listed(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "no arguments"


def _from_file(key: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{key}: no file {path}; it is looked for beside the experiment's file.")
    reached = _reached(path.resolve(), path.resolve().parent)
    seen = sha256(repr((str(path.resolve()), sorted(reached.items()))).encode()).hexdigest()
    name = f"flatmin_own_{path.stem}_{seen[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    _forget({Path(place).parts[0].removesuffix(".py") for place in reached})
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"{key}: importing {path.name} raised {said(error)}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _forget(siblings: set[str]) -> None:
    """Have the modules beside a file imported anew: they may be those of another folder, or as they were before."""
    for name in [*sys.modules]:
        if (top := name.partition(".")[0]) in siblings and top not in sys.stdlib_module_names:
            del sys.modules[name]


def _from_package(key: str, name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{key}: there is no module {error.name!r}; install it, or name a file beside the experiment's as "
                f"{error.name.partition('.')[0]}.py:..."
            ) from None
        raise ConfigError(f"{key}: importing {name} raised {said(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{key}: importing {name} raised {said(error)}") from error


def _digest(module: ModuleType) -> str:
    origin = getattr(module, "__file__", None)
    found = sha256()
    if origin is None or not origin.endswith(".py"):
        found.update(repr((module.__name__, sys.version)).encode())
        return found.hexdigest()[:16]
    path = Path(origin).resolve()
    if _installed(path):
        found.update(path.read_bytes() + _distribution_version(module.__name__).encode())
        return found.hexdigest()[:16]
    parts = module.__name__.split(".")
    own = module.__name__.startswith("flatmin_own_")
    root = path.parent if own else path.parents[len(parts) - 1 - (path.name != "__init__.py")]
    for name, content in sorted(_reached(path, root).items()):
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:16]


def _reached(path: Path, root: Path) -> dict[str, bytes]:
    """A file and all that it imports from below a folder, by their place in it."""
    found: dict[str, bytes] = {}
    left = [path]
    while left:
        now = left.pop()
        name = str(now.relative_to(root))
        if name not in found:
            found[name] = now.read_bytes()
            left += [other for other in _imports(now, root) if other.is_file()]
    return found


def _imports(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names, base = [alias.name for alias in node.names], root
        elif isinstance(node, ast.ImportFrom):
            base = root if node.level == 0 else path.parents[node.level - 1]
            stem = f"{node.module}." if node.module else ""
            names = [*([node.module] if node.module else []), *(f"{stem}{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                place = base.joinpath(*parts[:depth])
                yield place.with_suffix(".py")
                yield place / "__init__.py"


def _installed(path: Path) -> bool:
    places = (Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib"))
    return any(path.is_relative_to(place) for place in places)


def _distribution_version(name: str) -> str:
    top = name.partition(".")[0]
    try:
        return metadata.version(metadata.packages_distributions().get(top, [top])[0])
    except metadata.PackageNotFoundError:
        return str(getattr(find_spec(top), "name", top))

"""The experiments that come with flatmin: in the package once it is built, else in the folder beside it."""

import difflib
import shutil
from pathlib import Path

from flatmin.core.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "shipped_experiments", _PACKAGE.parent / "experiments")
SUFFIX = ".yaml"


def shipped() -> dict[str, Path]:
    """The file of each experiment that is shipped, by its name, in order of that.

    Example:
        >>> "quickstart" in shipped()
        True
    """
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}"))}


def experiment_file(file: Path) -> Path:
    """The file that is meant: a bare name means ``NAME.yaml`` here or in ``experiments``, else the shipped one.

    Raises:
        ConfigError: If a bare name is neither that of a file nor of a shipped one; the message has the nearest ones.
    """
    if file.is_file() or file.name != str(file) or file.suffix:
        return file
    known = shipped()
    for place in (Path(f"{file}{SUFFIX}"), Path("experiments", f"{file}{SUFFIX}")):
        if place.is_file():
            return place
    if file.name in known:
        return known[file.name]
    here = [path.stem for path in (*Path().glob(f"*{SUFFIX}"), *Path("experiments").glob(f"*{SUFFIX}"))]
    near = difflib.get_close_matches(file.name, dict.fromkeys([*here, *known]), n=3)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there is no {file}{SUFFIX} here either."
    raise ConfigError(f"no experiment {file}; {meant} `flatmin experiments` lists those that are shipped.")


def hides_shipped(file: Path, asked: Path) -> str:
    """Which file was read, where a name was asked for that is a shipped one's too; empty where that was read.

    Args:
        file: The file read.
        asked: What was asked for.
    """
    known = shipped()
    if str(asked) not in known or file == known[str(asked)]:
        return ""
    return f"read from {file}, which comes before the shipped {asked}"


def copy_shipped(name: str, to: Path) -> Path:
    """Copy a shipped experiment to a file or into a folder; what is there stays as it is.

    Returns:
        The copy.

    Raises:
        ConfigError: If there is no such experiment, or ``to`` exists, or cannot be written.
    """
    known = shipped()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}."
        raise ConfigError(f"no shipped experiment {name}; {meant}")
    target = to / known[name].name if to.is_dir() else to
    if target.suffix not in (SUFFIX, ".yml"):
        raise ConfigError(f"the copy must be a folder that is there or end in {SUFFIX}, got {to}.")
    try:
        with known[name].open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except FileExistsError:
        raise ConfigError(f"{target} is there already and stays as it is; name another file.") from None
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}.") from error
    return target

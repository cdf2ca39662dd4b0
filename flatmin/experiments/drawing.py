"""The figures of an experiment's folder: those of its tables and no others."""

from collections.abc import Callable
from pathlib import Path

from flatmin.core.atomic import write_files
from flatmin.results import Tables, formats

Draw = Callable[[Tables, Path], list[Path]]
SEAL = ".drawn"


def redraw(draw: Draw, tables: Tables, folder: Path) -> list[Path]:
    """Draw tables into ``figures/`` of an experiment's folder, and remove what was drawn there from others.

    Files of the user's own stay. Where nobody has noted what was drawn, it is each PDF with its PNG and its CSV.

    Returns:
        The files drawn.
    """
    place = folder / "figures"
    _, before = _seal(folder)
    if before is None:
        kinds = (".pdf", ".png", ".csv", ".tex")
        before = [path.with_suffix(kind).name for path in place.glob("*.pdf") for kind in kinds]
    written = draw(tables, place)
    names = [path.name for path in written]
    for name in {*before} - {*names}:
        (place / name).unlink(missing_ok=True)
    write_files(folder, {SEAL: formats.to_json({"tables": tables.digest(), "files": names})})
    return written


def is_drawn(tables: Tables, folder: Path) -> bool:
    """Whether the figures of a folder are those of these tables, and none has gone."""
    digest, names = _seal(folder)
    place = folder / "figures"
    whole = names is not None and all((place / name).exists() for name in names)
    return digest == tables.digest() and place.is_dir() and whole


def _seal(folder: Path) -> tuple[str, list[str] | None]:
    """Which tables were last drawn, and into which files; ``None`` where that cannot be read."""
    try:
        found = formats.from_json((folder / SEAL).read_bytes())
        return str(found["tables"]), [Path(name).name for name in found["files"]]
    except (OSError, ValueError, TypeError, KeyError):
        return "", None

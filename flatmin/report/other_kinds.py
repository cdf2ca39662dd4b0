"""Studies of other kinds than the paper's comparison: what each says and draws by itself, in a section of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flatmin.results import Tables, markdown
from flatmin.results.kind import USUAL, Kind, kind_of


@dataclass(frozen=True, eq=False)
class Other:
    """A study of another kind.

    Attributes:
        name: Of its folder.
        tables: What was found.
    """

    name: str
    tables: Tables

    @property
    def kind(self) -> Kind:
        """What it is."""
        return kind_of(self.tables)

    @property
    def label(self) -> str:
        """What it is, for a list."""
        return self.kind.words


def is_other(tables: Tables) -> bool:
    """Whether the tables are those of another kind than the paper's comparison."""
    return kind_of(tables).name != USUAL


def sections(others: Sequence[Other], out: Path) -> Iterator[tuple[str, list[str], list[Path]]]:
    """Draw each study into a folder of its name.

    Yields:
        Heading, paragraphs in Markdown and the files written.
    """
    for other in others:
        files = other.kind.draw(other.tables, out / other.name)
        said = [f"{markdown.escaped(line)}\n" for line in other.kind.printed(other.tables) if isinstance(line, str)]
        shown = [f"![{path.stem}]({path.relative_to(out)})\n" for path in files if path.suffix == ".png"]
        yield f"{other.kind.words} ({other.name})", [*said, *shown], files

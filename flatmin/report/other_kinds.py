"""Studies that the paper has no place for, of another kind or of a network of one's own: a section each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flatmin.core.errors import ResultsError
from flatmin.core.kind import USUAL, Kind, kind_of
from flatmin.report.study_text import SUMMARY_NOTE
from flatmin.results import Tables, markdown, to_markdown
from flatmin.results.remarks import remarks
from flatmin.results.summary_text import latex_frame, summary_table
from flatmin.results.words import DATA_NAMES


@dataclass(frozen=True, eq=False)
class Other:
    """A study of another kind, or of a network that the paper does not have.

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
        runs = self.tables.minima[["network", "data"]].drop_duplicates().itertuples(index=False)
        return "; ".join(f"{network} on {DATA_NAMES.get(data, data)}" for network, data in runs) or self.kind.words


def is_other(tables: Tables) -> bool:
    """Whether the paper has no place for the study that left these tables."""
    network = tables.experiment.get("network")
    return kind_of(tables).name != USUAL or (isinstance(network, dict) and "call" in network)


def summarised(tables: Tables) -> Iterator[str]:
    """Yield the means of minima and measures as a table, where there are any."""
    try:
        yield to_markdown(latex_frame(summary_table(tables)), SUMMARY_NOTE)
    except ResultsError:
        return


def reduced(tables: Tables) -> Iterator[str]:
    """Yield what is less than the paper's or than all the data, in a line."""
    if said := ". ".join(remark.text for remark in remarks(tables.provenance, "reduced")):
        yield f"{markdown.escaped(said)}.\n"


def sections(others: Sequence[Other], out: Path) -> Iterator[tuple[str, list[str], list[Path]]]:
    """Draw each study into a folder of its name.

    Yields:
        Heading, paragraphs in Markdown and the files written.
    """
    for other in others:
        files = other.kind.draw(other.tables, out / other.name)
        said = [f"{markdown.escaped(line)}\n" for line in other.kind.printed(other.tables) if isinstance(line, str)]
        shown = [f"![{path.stem}]({path.relative_to(out)})\n" for path in files if path.suffix == ".png"]
        yield (
            f"{other.label} ({other.name})",
            [
                *reduced(other.tables),
                *summarised(other.tables),
                *said,
                *other.kind.tabulated(other.tables),
                *shown,
            ],
            files,
        )

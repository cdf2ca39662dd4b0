r"""Which of the report's numbers a LaTeX document quotes: as ``\flatminNAME``, ``\n{NAME}`` or ``\verdict{CLAIM}``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from flatmin.core.errors import ResultsError

COMMENT = re.compile(r"(?<!\\)%.*")
QUOTATION = re.compile(r"\\flatmin([A-Za-z]+)|\\n\{([A-Za-z]+)\}|\\verdict\{([A-Za-z]+)\}")
PARTS_OF_A_VERDICT = ("Verdict", "Holds", "DoesNotHold", "Undecided", "NotRun")


def quotations(out: Path) -> dict[str, Path]:
    """The names that the document beside a report quotes, each with the file that does.

    Args:
        out: The report's folder.

    Returns:
        Names without ``flatmin``, from all TeX files in the folder above; none where none of these reads the report's
        ``numbers.tex``.
    """
    sources = {
        path: COMMENT.sub("", path.read_text("utf-8", "replace")) for path in sorted(out.resolve().parent.glob("*.tex"))
    }
    if not any(f"{out.resolve().name}/numbers" in text for text in sources.values()):
        return {}
    return {name: path for path, text in sources.items() for name in names_in(text)}


def names_in(text: str) -> Iterator[str]:
    r"""The names that a text quotes.

    Example:
        >>> list(names_in(r"\flatminFOneSeeds of \n{FOneData}; \n{K#1} is \verdict{KOne}"))[:4]
        ['FOneSeeds', 'FOneData', 'KOneVerdict', 'KOneHolds']
    """
    for macro, short, claim in QUOTATION.findall(text):
        yield from (f"{claim}{part}" for part in PARTS_OF_A_VERDICT) if claim else (macro or short,)


def those_quoted(numbers: Mapping[str, str], quoted: Mapping[str, Path]) -> dict[str, str]:
    """The numbers that are quoted; all of them where nothing is.

    Raises:
        ResultsError: If a number is quoted that there is not.
    """
    unknown = [rf"\flatmin{name} ({path.name})" for name, path in quoted.items() if name not in numbers]
    if unknown:
        raise ResultsError(
            f"no study here gives {', '.join(unknown)}; correct what is quoted, add the study, or write elsewhere "
            "with --out."
        )
    return {name: text for name, text in numbers.items() if name in quoted or not quoted}

"""What is reduced in a study, or to beware of: a sentence each, with the table of results that it concerns."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from flatmin.core.errors import ResultsError
from flatmin.core.fields import shown
from flatmin.measures import measures

EVERYTHING = "everything"
BEGINNINGS = {name: measure.words for name, measure in measures().items()} | {"lines": "Slices", "planes": "Planes"}
"""What a sentence on a table begins with: in a provenance that does not say what it concerns, this tells."""


class Remark(NamedTuple):
    """A sentence on a study.

    Attributes:
        text: The sentence, without its full stop.
        concerns: The table that it is about, or `EVERYTHING`.
    """

    text: str
    concerns: str = EVERYTHING


def remarks(provenance: Mapping[str, Any], *kinds: str) -> list[Remark]:
    """The remarks in a provenance.

    Args:
        provenance: Of a study's tables.
        *kinds: Such as "reduced" or "cautions".

    Raises:
        ResultsError: If they are no list of sentences, or of mappings with a text and what it concerns.

    Example:
        >>> remarks({"reduced": [{"text": "On few examples", "concerns": "effort"}]}, "reduced")
        [Remark(text='On few examples', concerns='effort')]
    """
    return [_remark(kind, entry) for kind in kinds for entry in _listed(kind, provenance.get(kind, []))]


def _listed(kind: str, entries: Any) -> Iterable[Any]:
    if not isinstance(entries, list):
        raise ResultsError(f"the provenance must have a list of remarks under {kind!r}, got {shown(entries)}.")
    return entries


def _remark(kind: str, entry: Any) -> Remark:
    if isinstance(entry, Mapping):
        fields = {"text": "", "concerns": EVERYTHING, **entry}
        if (
            len(fields) == len(Remark._fields)
            and fields["text"]
            and all(isinstance(one, str) for one in fields.values())
        ):
            return Remark(**fields)
    if not isinstance(entry, str):
        raise ResultsError(f"a remark under {kind!r} in the provenance must be a text or have one, got {shown(entry)}.")
    concerns = (table for table, words in BEGINNINGS.items() if entry.startswith(words))
    return Remark(entry.rstrip("."), next(concerns, EVERYTHING))


def concerning(found: Iterable[Remark], *tables: str) -> list[str]:
    """The sentences that concern what is shown.

    Args:
        found: The remarks.
        *tables: Names of the tables that are shown.

    Example:
        >>> concerning([Remark("Trained for 5 of 100 epochs"), Remark("Half the data", "sharpness")], "curves")
        ['Trained for 5 of 100 epochs']
    """
    return [remark.text for remark in found if remark.concerns in (EVERYTHING, *tables)]

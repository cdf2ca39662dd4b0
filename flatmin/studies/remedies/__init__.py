"""Remedies for large batches side by side: what each does to the gap in test accuracy, and what to the sharpness."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.remedies.settings import Remedies

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Remedies, **places: Any) -> "Study":
    """Load the data and plan the steps."""
    from flatmin.studies.remedies.prepare import study_of

    return study_of(experiment, **places)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the remedies side by side, each effect against the other, and of the pair what a comparison draws."""
    from flatmin import figures
    from flatmin.figures.render import figure_written
    from flatmin.studies.remedies import judged
    from flatmin.studies.remedies.depth_figure import against_loss, equal_loss, with_logarithms
    from flatmin.studies.remedies.equal_loss import along, at_equal_loss, measured, rows_of
    from flatmin.studies.remedies.figure import side_by_side, two_effects

    files = figures.render(judged.pair_of(tables), out)
    found = judged.ways(tables)
    if not found:
        return files
    rows = judged.rows(found)
    files += figure_written(out, "side_by_side", side_by_side(tables), rows)
    gained = [way for way in found if way.gain.values]
    for what in dict.fromkeys(what for way in gained for what in way.flatness):
        files += figure_written(out, f"two_effects_{filed(what)}", two_effects(tables, what), rows)
    if compared := at_equal_loss(tables):
        files += figure_written(out, "equal_loss", equal_loss(tables), rows_of(compared))
        networks = along(tables)
        for what in measured(networks):
            if set(with_logarithms(networks, what)["regime"]) <= {judged.LARGE}:
                continue
            files += figure_written(out, f"against_loss_{filed(what)}", against_loss(tables, what), networks)
    return files


def filed(what: str) -> str:
    """What something is called, as part of a file's name."""
    return "".join(letter if letter.isalnum() else "_" for letter in what.lower())


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.remedies.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> Iterator[str]:
    """The table of remedies, and what was tried for each."""
    from flatmin.results import to_markdown
    from flatmin.studies.remedies.tabled import tabled

    for caption, rows in tabled(tables):
        yield to_markdown(rows, caption)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The table, and each remedy's gain."""
    from flatmin.studies.remedies import judged

    found = judged.ways(tables)
    numbers = {f"remedies/{way.name}/gain": way.gain.center for way in found}
    numbers |= {f"remedies/{way.name}/closed": way.closed.center for way in found}
    return {"tables/ways": tables.frames["ways"], "tables/remedies": judged.rows(found)}, numbers


KIND = Kind(
    name="remedies",
    words="Remedies for large batches",
    settings=Remedies,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    tabulated=tabulated,
    columns={
        "tuning": (
            *("network", "data", "regime", "batch_size", "seed", "learning_rate", "factor", "status", "epochs"),
            *("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
            *("running_validation_loss", "running_validation_accuracy"),
        ),
        "ways": (
            *("network", "data", "regime", "batch_size", "seed"),
            *("learning_rate", "factor", "at_edge", "updates", "gradients", "seconds"),
        ),
        "members": ("network", "data", "regime", "seed", "member", "test_accuracy", "running_test_accuracy"),
    },
    text=("network", "data", "regime", "status"),
    shorthand=("data", "network"),
)

"""The tidy tables of an experiment, gathered from the records of its steps."""

from collections.abc import Iterable
from typing import Any

from flatmin.core.errors import ResultsError
from flatmin.experiments.parts import EARLIER
from flatmin.experiments.plans import DONE
from flatmin.experiments.step import Named, with_facts
from flatmin.results import Store, Tables


def collect(steps: Iterable[Named], store: Store, provenance: dict[str, Any]) -> Tables:
    """The rows of every finished step.

    Args:
        steps: The steps of the experiment.
        store: Where their records lie.
        provenance: Of the experiment; the versions, commits and machines found in the records are added.

    Raises:
        ResultsError: If a record's table is not as declared.
    """
    parts: list[Tables] = []
    origins: list[dict[str, Any]] = []
    for step in steps:
        record = store.record(step.kind, step.label, step.setup)
        if record.state not in DONE:
            continue
        for name in record.tables:
            frames: dict[str, Any] = {name: with_facts(name, record.table(name), step.facts)}
            try:
                parts.append(Tables(**frames))
            except ValueError as error:
                raise ResultsError(f"{record.folder}: {error} Delete the folder to do this step again.") from error
        origins.append(record.provenance)
    return Tables.concat(parts, provenance | common(origins))


def common(origins: list[dict[str, Any]]) -> dict[str, Any]:
    """What the records say of where they were made, each distinct answer once.

    Raises:
        ResultsError: If there is no record.
    """
    if not origins:
        raise ResultsError("no step is finished yet, so there are no tables.")
    keys = ("flatmin", "git", "python", "platform", "processor", "device", "threads", "versions", "note")
    found: dict[str, Any] = {key: [] for key in keys}
    parts = [part for origin in origins for part in (*origin.get(EARLIER, ()), origin)]
    for origin in parts:
        for key in keys:
            if key in origin and origin[key] not in found[key]:
                found[key].append(origin[key])
    return {
        "made_with": found,
        "started": min(part["started"] for part in parts),
        "ended": max(origin["ended"] for origin in origins),
        "wall_seconds": sum(part["wall_seconds"] for part in parts),
    }

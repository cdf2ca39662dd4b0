import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import flatmin.figures
from flatmin.experiments import Study
from flatmin.studies.comparison.settings import Comparison


@pytest.fixture
def make(experiment: Callable[..., Comparison], tmp_path: Path) -> Callable[..., Study]:
    """Makes the study of a tiny experiment."""
    return lambda **changes: Study.of(experiment(**changes), results=tmp_path / "results")


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders to which figures were drawn; nothing is drawn, which takes seconds."""
    drawn: list[Path] = []

    def render(tables: object, out: Path) -> list[Path]:
        out.mkdir(parents=True, exist_ok=True)
        drawn.append(out)
        return []

    monkeypatch.setattr(flatmin.figures, "render", render)
    return drawn


@dataclass
class OfflineRun:
    """A W&B run as its offline file has it."""

    start: Any = None
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    ended: bool = False


def logged_chunks(content: bytes) -> Iterator[bytes]:
    """The records of a W&B file: LevelDB's log format behind a header of 7 bytes, in blocks of 32 KiB."""
    assert content[:4] == b":W&B"
    at, record = 7, b""
    while at < len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield record
            record = b""
    assert not record


def offline_run(path: Path) -> OfflineRun:
    """Read the file of a run; nested keys are joined by dots."""
    from wandb.proto.wandb_internal_pb2 import Record

    def values(items: Any) -> dict[str, Any]:
        return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}

    run = OfflineRun()
    for chunk in logged_chunks(path.read_bytes()):
        record = Record.FromString(chunk)
        match record.WhichOneof("record_type"):
            case "run":
                run.start = record.run
            case "history":
                run.history.append(values(record.history.item))
            case "summary":
                run.summary |= values(record.summary.update)
            case "exit":
                run.ended = True
    return run


@pytest.fixture
def offline_runs() -> Callable[[Path], dict[str, OfflineRun]]:
    """Reads the offline runs in an experiment's folder, by job type."""

    def read(folder: Path) -> dict[str, OfflineRun]:
        runs = [offline_run(path) for path in folder.glob("wandb/offline-run-*/run-*.wandb")]
        found = {run.start.job_type: run for run in runs}
        assert len(found) == len(runs)
        return found

    return read

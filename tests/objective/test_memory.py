"""The memory of a call is that of one batch, however many there are: read from the profiler's list of allocations."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from flatmin.objective import memory
from flatmin.objective.objective import Objective


def peak_bytes(call: str, batch_norm: str, count: int, trace: Path) -> int:
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(500, 4, generator=generator), torch.randint(3, (500,), generator=generator)
    layers = [nn.Linear(4, 48), nn.BatchNorm1d(48), nn.Tanh(), nn.Linear(48, 48), nn.BatchNorm1d(48), nn.Tanh()]
    objective = Objective(
        nn.Sequential(*layers, nn.Linear(48, 3)), F.cross_entropy, [batch] * count, batch_norm=batch_norm
    )
    arguments = [torch.ones(objective.size)] if call == "hvp" else []
    getattr(objective, call)(*arguments)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        getattr(objective, call)(*arguments)
    profiler.export_chrome_trace(str(trace))
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["name"] == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
@pytest.mark.parametrize("call", ["evaluate", "gradient", "hvp"])
def test_four_batches_need_no_more_memory_than_one(
    call: str, batch_norm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda device: 0)
    one, four = (peak_bytes(call, batch_norm, count, tmp_path / "trace.json") for count in (1, 4))
    assert one > 48 * 500 * 4
    assert four < 1.1 * one

"""W&B as it can fail: a stand-in that hangs, dies or chatters, or its own core and a server that does not answer."""

import http.server
import sys
import threading
import time
from pathlib import Path

import pytest

from flatmin.core.errors import ConfigError
from flatmin.experiments import run, wandb_logging
from flatmin.experiments.config import Wandb

STAND_IN = """
import os, sys, time
from types import SimpleNamespace
kind = os.environ["STAND_IN"]
class Run:
    summary = {}
    def define_metric(self, *args, **kwargs): print("wandb: a line"); print("wandb: INFO", file=sys.stderr)
    def log(self, row):
        if kind == "log": time.sleep(1000)
        if kind == "slow": time.sleep(1.5)
        if kind == "killed": os.kill(os.getpid(), 9)
        if kind == "full disk": raise OSError(28, "No space left on device")
    def finish(self, exit_code=0):
        if kind == "finish": time.sleep(1000)
        if kind == "slow": time.sleep(1.5)
def setup(settings):
    if kind == "setup": time.sleep(1000)
def init(**arguments):
    if kind == "init": raise RuntimeError("binary not found\\nand 60 lines more")
    return Run()
def Settings(**arguments): return arguments
def Table(dataframe): return dataframe
def Image(path): return path
import atexit
atexit.register(lambda: print("wandb: a traceback of 40 lines", file=sys.stderr))
"""
OUTCOMES = {
    "healthy": "",
    "setup": "no answer in time",
    "init": "binary not found",
    "log": "no answer in time",
    "killed": "its process has ended",
    "full disk": "[Errno 28] No space left on device",
    "finish": "no answer in time",
    "slow": "no answer in time",
}


@pytest.fixture
def online(make, monkeypatch):
    monkeypatch.setattr(wandb_logging, "PATIENCE", 2.0)
    return make(resources={"device": "cpu", "wandb": {"mode": "online"}})


@pytest.mark.parametrize("kind", OUTCOMES)
def test_trouble_is_one_warning_and_no_delay(online, drawings, monkeypatch, tmp_path, caplog, capfd, kind):
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "wandb.py").write_text(STAND_IN)
    monkeypatch.setenv("STAND_IN", kind)
    path = [str(tmp_path / "stand_in"), str(Path(wandb_logging.__file__).parents[2])]
    module = "flatmin.experiments.wandb_runs"
    code = f"import sys, runpy; sys.path[:0] = {path}; runpy.run_module({module!r}, None, '__main__')"
    monkeypatch.setattr(wandb_logging, "COMMAND", [sys.executable, "-c", code])
    started = time.monotonic()
    tables = run(online, draw=online.kind.draw)
    assert time.monotonic() - started < 12 and len(tables.minima) == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bool(OUTCOMES[kind]) and all(OUTCOMES[kind] in line for line in said)
    assert capfd.readouterr() == ("", "")


class Server(http.server.BaseHTTPRequestHandler):
    """Answers who is asking, and then nothing or that it is not available."""

    silent = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if b"viewer" in body.lower() and not self.silent:
            self.answer(200, b'{"data": {"viewer": {"id": "me", "entity": "me", "flags": "{}"}}}')
        elif self.silent:
            time.sleep(60)
        else:
            self.answer(503, b"")

    do_GET = do_POST

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("silent", [False, True])
def test_server_that_does_not_answer_delays_no_run(online, drawings, monkeypatch, caplog, capfd, silent):
    monkeypatch.setattr(Server, "silent", silent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "WANDB_API_KEY": "0" * 40,
    }.items():
        monkeypatch.setenv(name, value)
    started = time.monotonic()
    run(online, draw=online.kind.draw)
    took = time.monotonic() - started
    server.shutdown()
    server.server_close()
    assert took < 12 and len(caplog.records) == 1 and capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("named", "mode"), [("disabled", "disabled"), ("dryrun", "offline"), ("", "online")])
def test_wandb_mode_counts(monkeypatch, named, mode):
    monkeypatch.setenv("WANDB_MODE", named)
    assert Wandb(mode="online").mode_here == mode


def test_unknown_wandb_mode_is_refused(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(ConfigError, match=r"^WANDB_MODE must be online, offline or disabled, got 'sometimes'\.$"):
        Wandb().mode_here  # noqa: B018


@pytest.mark.slow
def test_offline_without_a_home_says_nothing(make, drawings, monkeypatch, caplog, capfd):
    monkeypatch.delenv("HOME", raising=False)
    study = make(resources={"device": "cpu", "wandb": {"mode": "offline"}})
    run(study, draw=study.kind.draw)
    assert not caplog.records and capfd.readouterr() == ("", "")
    assert len(list(study.folder.glob("wandb/offline-run-*/*.wandb"))) == 3

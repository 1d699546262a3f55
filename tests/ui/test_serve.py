"""`assistant serve`, without vLLM: what it refuses, how it waits for a server, and how it ends one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from assistant.ui.commands import model_server
from assistant.vlm import extras

from ..vlm.tiny import tiny_model, tiny_processor
from .conftest import Command

# A server that answers at /health, and ends after that or when it is stopped.
HEALTHY = """
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health)
server.handle_request() if sys.argv[2] == "once" else server.serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def with_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras._MODULES, "vllm", ("json",))


def write_model(folder: Path) -> None:
    tiny_model().save_pretrained(folder)
    tiny_processor().save_pretrained(folder)


def server(port: int, how: str) -> list[str]:
    return [sys.executable, "-c", HEALTHY, str(port), how]


def test_without_vllm_one_line_names_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    result = command("serve")
    assert result.code == 1
    assert result.complaint == "Error: `assistant serve` needs an extra: pip install 'visual-assistant[vllm]'"


@pytest.mark.usefixtures("with_vllm")
def test_a_port_that_is_taken_is_refused_before_anything_slow(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = command("serve", "--port", str(port))
    assert result.code == 1
    assert f"cannot serve at 127.0.0.1:{port}" in result.complaint
    assert "try another --port" in result.complaint


@pytest.mark.usefixtures("with_vllm")
def test_an_unknown_model_is_refused(command: Command, port: int) -> None:
    result = command("serve", "--model", "http://localhost:8000/v1", "--port", str(port))
    assert result.code == 1
    assert "no model 'http://localhost:8000/v1'" in result.complaint


@pytest.mark.usefixtures("with_vllm")
def test_a_server_that_ends_before_it_answers_is_an_error(
    command: Command, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    monkeypatch.setattr(model_server, "_SERVER", "json.tool")  # knows none of the arguments
    result = command("serve", "--model", tmp_path / "model", "--port", str(port))
    assert result.code == 1
    assert "vLLM ended with exit code 2" in result.complaint
    assert result.out == ""


def test_the_address_is_printed_once_the_server_answers(
    port: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # is not for this machine
    assert model_server._run(server(port, "once"), "127.0.0.1", port) == 0
    captured = capfd.readouterr()
    assert captured.out == f"http://127.0.0.1:{port}/v1\n"
    assert f"--model http://127.0.0.1:{port}/v1" in captured.err


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, None)])
def test_a_signal_ends_the_server_too(
    port: int, sent: signal.Signals, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "_announce", lambda *_: os.kill(os.getpid(), sent))
    if code is None:
        with pytest.raises(KeyboardInterrupt):
            model_server._run(server(port, "on"), "127.0.0.1", port)
    else:
        assert model_server._run(server(port, "on"), "127.0.0.1", port) == code
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))  # nothing listens there any more
        free.listen()


def test_the_options_of_vllm_are_passed_on(
    command: Command, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras._MODULES, "vllm", ("json",))
    write_model(tmp_path / "mine")
    commands: list[list[str]] = []

    def run(given: list[str], *_: object) -> int:
        commands.append(given)
        return 0

    monkeypatch.setattr(model_server, "_run", run)
    result = command(
        "serve", "--model", tmp_path / "mine", "--port", str(port), "--", "--tensor-parallel-size", "2"
    )
    assert result.code == 0
    assert f"--model={tmp_path / 'mine'}" in commands[0]
    assert "--served-model-name=minigpt-v2-mine" in commands[0]
    assert commands[0][-2:] == ["--tensor-parallel-size", "2"]


@pytest.mark.usefixtures("with_vllm")
@pytest.mark.parametrize("by_option", [True, False])
def test_the_log_can_be_json(
    command: Command, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_option: bool
) -> None:
    write_model(tmp_path / "mine")
    given: list[str] = []

    def run(started: list[str], *_: object) -> int:
        given.extend(started)
        return 0

    monkeypatch.setattr(model_server, "_run", run)
    if not by_option:
        monkeypatch.setenv("ASSISTANT_LOG", "json")
    options = ("--log-json",) if by_option else ()
    assert command("serve", "--model", tmp_path / "mine", "--port", str(port), *options).code == 0
    assert "--logging-config.formatter=json" in given

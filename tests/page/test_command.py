"""`assistant ui` serves the page, prints its URL, and ends on a signal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CODE = "from assistant.ui.cli import main; main()"


def start(port: int, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, "ui", "--no-browser", f"--port={port}", f"--db={folder}/s.db"]
    command += options
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as answer:
            assert answer.read() == b"ok"
    except OSError:
        return False
    return True


def start_and_wait(folder: Path) -> tuple[int, subprocess.Popen[str]]:
    """Return the port and the command once the page is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = start(port, folder)
    deadline = time.monotonic() + 120
    while not is_served(port) and time.monotonic() < deadline:
        assert command.poll() is None
        time.sleep(0.2)
    return port, command


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_page_is_served_until_ctrl_c_or_the_end_of_the_command(
    end: signal.Signals, code: int, tmp_path: Path
) -> None:
    port, command = start_and_wait(tmp_path)
    with command:
        command.send_signal(end)
        out, err = command.communicate(timeout=60)
    assert command.returncode == code
    assert out == ""
    assert f"http://127.0.0.1:{port}" in err.splitlines()[0]
    assert "Traceback" not in err
    assert not is_served(port)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the page's process in /proc")
def test_a_page_that_was_killed_is_one_line(tmp_path: Path) -> None:
    _, command = start_and_wait(tmp_path)
    with command:
        (page,) = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        os.kill(int(page), signal.SIGKILL)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 1
    assert err.splitlines()[-1] == "Error: the page was killed by signal 9; is there too little memory?"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start(port, tmp_path) as command:
            _, err = command.communicate(timeout=120)
    assert command.returncode == 1
    assert f"is port {port} taken?" in err
    assert "Traceback" not in err


def test_a_planner_that_is_not_there_is_one_line_and_nothing_is_served(tmp_path: Path) -> None:
    with start(8501, tmp_path, "--planner", "nonsense") as command:
        out, err = command.communicate(timeout=120)
    assert (command.returncode, out) == (1, "")
    assert err.startswith("Error: cannot plan with 'nonsense': ")

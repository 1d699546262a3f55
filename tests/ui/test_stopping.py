"""Ctrl-C in a real process: the exit code, what is said, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.storage import SessionStore

ENDLESS = "[vqa] what never ends?"


def interrupt(*arguments: object, database: Path, stdin: str = "") -> tuple[int, str, list[str]]:
    """Run a command, interrupt it when it works, and return its exit code and its output."""
    with subprocess.Popen(
        [sys.executable, "-m", "assistant.tests.ui.slow", *map(str, arguments)],
        stdin=-1,
        stdout=-1,
        stderr=-1,
        text=True,
        env=os.environ | {"ASSISTANT_DB": str(database), "COLUMNS": "100"},
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(stdin)
        running.stdin.close()
        before = []
        for line in running.stderr:
            if line == "working\n":
                break
            before.append(line)
        running.send_signal(signal.SIGINT)
        assert running.stdout is not None
        output, after = running.stdout.read(), running.stderr.readlines()
    return running.returncode, output, before + after


def kept(database: Path) -> list[str]:
    with SessionStore.open(database) as store:
        assert store.verify() == []
        return [turn.user for session in store.list_sessions() for turn in store.turns(session.id)]


def test_a_question(photo: Path, database: Path, tmp_path: Path) -> None:
    drawing = tmp_path / "drawing.png"
    code, output, complaints = interrupt("ask", photo, ENDLESS, "--save", drawing, database=database)
    assert (code, output, complaints) == (130, "", ["Stopped.\n"])
    assert not drawing.exists()
    assert kept(database) == []


def test_the_second_of_two_pictures(photo: Path, database: Path) -> None:
    code, output, complaints = interrupt("ask", photo, photo, ENDLESS, "--json", database=database)
    assert (code, output, complaints) == (130, "", ["Stopped.\n"])


def test_a_conversation_in_a_pipe_keeps_what_was_answered(photo: Path, database: Path) -> None:
    lines = f"[caption]\n{ENDLESS}\n[caption]\n"
    code, output, complaints = interrupt("chat", photo, database=database, stdin=lines)
    assert (code, output) == (130, "A dog runs through the snow.\n")
    assert [line.split()[0] for line in complaints] == ["Session", "Stopped."], complaints
    assert len(kept(database)) == 1


@pytest.mark.parametrize("earlier", [b"earlier", None])
def test_an_export_leaves_an_earlier_file_as_it_was(
    earlier: bytes | None, database: Path, tmp_path: Path
) -> None:
    with SessionStore.open(database) as store:
        session = store.create_session("a dog").id
    out = tmp_path / "exports" / "session.json"
    out.parent.mkdir()
    if earlier:
        out.write_bytes(earlier)
    code, output, complaints = interrupt("sessions", "export", session, "--out", out, database=database)
    assert (code, output, complaints) == (130, "", ["Stopped.\n"])
    assert [path.read_bytes() for path in out.parent.iterdir()] == ([earlier] if earlier else [])

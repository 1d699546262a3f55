"""`assistant chat`: questions and commands from a pipe and from a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from assistant.storage import SessionStore
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from .conftest import Command, Result
from .fakes import ScriptedEngine

WHERE = "where is the dog?"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another image, 100 x 50, with a space in its name."""
    path = tmp_path / "another one.png"
    Image.new("RGB", (100, 50), "blue").save(path)
    return path


def chat(command: Command, *arguments: object, lines: tuple[str, ...]) -> Result:
    return command("chat", *arguments, stdin="".join(f"{line}\n" for line in lines).encode())


def session_of(result: Result) -> str:
    found = re.search(r"--session (\w+)", result.err)
    assert found, result
    return found[1]


class TestAsking:
    def test_each_line_is_answered_in_one_session(
        self, command: Command, photo: Path, database: Path
    ) -> None:
        result = chat(command, photo, lines=(WHERE, "", "what colour is it?"))
        assert (result.code, result.out) == (0, "The dog is on the left.\nBrown.\n")
        with SessionStore.open(database) as store:
            turns = store.turns(session_of(result))
        assert [turn.user for turn in turns] == [WHERE, "what colour is it?"]

    def test_a_session_continues_with_its_last_picture(
        self, command: Command, engine: ScriptedEngine, photo: Path, other: Path
    ) -> None:
        session = session_of(chat(command, photo, lines=(WHERE, f"/image {other}", WHERE)))
        again = chat(command, "--session", session, lines=("what colour is it?",))
        assert again.out == "Brown.\n"
        assert session_of(again) == session
        assert [request.image.size for request in engine.requests if request.image] == [
            (640, 480),
            (100, 50),
            (100, 50),
        ]

    def test_without_a_picture_there_is_talk_and_a_way_to_one(self, command: Command, photo: Path) -> None:
        result = chat(command, lines=("hello", WHERE, "/box 1,2,3,4", f"/image {photo}", WHERE))
        assert result.out.startswith("Hello! ")
        assert "\nI could not do [refer]: there is no image" in result.out
        assert result.out.endswith("The dog is on the left.\n")
        assert "/image PATH shows one" in result.err

    def test_verify_makes_the_model_check_its_boxes(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.answers[Task.IDENTIFY] = "a red car"
        result = chat(command, photo, "--verify", lines=(WHERE,))
        assert "disagrees" in result.out
        assert [request.task for request in engine.requests] == [Task.REFER, Task.IDENTIFY]

    def test_the_database_option_is_used(self, command: Command, photo: Path, tmp_path: Path) -> None:
        session = session_of(chat(command, photo, "--db", tmp_path / "own.db", lines=(WHERE,)))
        assert chat(command, "--session", session, lines=(WHERE,)).code == 1
        assert chat(command, "--session", session, "--db", tmp_path / "own.db", lines=(WHERE,)).code == 0

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_a_line_that_is_no_text_is_answered(
        self, command: Command, photo: Path, database: Path, encoding: str
    ) -> None:
        line = "what is that café?".encode(encoding)
        result = command("chat", photo, stdin=line + b"\n" + WHERE.encode())
        assert (result.code, result.out) == (0, "Brown.\nThe dog is on the left.\n")
        with SessionStore.open(database) as store:
            asked = store.turns(session_of(result))[0].user
        assert asked == line.decode(errors="replace")

    def test_ctrl_c_in_a_pipe_fails_and_says_how_to_continue(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.answers[Task.VQA] = KeyboardInterrupt()
        result = chat(command, photo, lines=(WHERE, "what colour is it?", WHERE))
        assert (result.code, result.out) == (130, "The dog is on the left.\n")
        assert session_of(result)

    def test_nothing_asked_keeps_nothing(self, command: Command, photo: Path) -> None:
        result = chat(command, photo, lines=("/help", "/quit", WHERE))
        assert (result.code, result.out) == (0, "")
        assert command("sessions", "list").out == ""


class TestCommands:
    def test_a_box_and_a_task_hold_for_the_next_question_alone(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        region = "/box 64,48,320,240"
        chat(command, photo, lines=(region, "what is this?", "/task caption", WHERE, WHERE))
        assert [(request.task, request.region) for request in engine.requests] == [
            (Task.IDENTIFY, Box(10, 10, 50, 50)),
            (Task.CAPTION, None),
            (Task.REFER, None),
        ]

    def test_another_picture_has_no_box_yet(
        self, command: Command, engine: ScriptedEngine, photo: Path, other: Path
    ) -> None:
        chat(command, photo, lines=("/box 64,48,320,240", f"/image '{other}'", "what colour is it?"))
        (request,) = engine.requests
        assert request.image is not None
        assert request.image.size == (100, 50)

    def test_the_last_answer_is_drawn(self, command: Command, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "found.png"
        result = chat(command, photo, lines=(WHERE, f"/save {out}"))
        assert f"Saved {out}" in result.err
        with Image.open(out) as drawn:
            assert drawn.size == (640, 480)
            assert len(drawn.convert("RGB").getcolors(10_000) or ()) > 1

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("/find dog", "there is no command /find: /help lists them"),
            ("/box", "/box takes four numbers x0,y0,x1,y1, not ''"),
            ("/box 0,0,641,1", "/box [0, 0, 641, 1] lies outside of the image of 640 x 480"),
            (
                "/box 0,0,.5,1",
                "/box [0, 0, 0.5, 1] are fractions, but pixels are wanted: give [0, 0, 320, 480]",
            ),
            ("/task count", "/task takes one of caption, vqa"),
            ("/image", "/image takes the path of a file"),
            ("/image nowhere.jpg", "there is no such file"),
            ("/image ~nobody-at-all/a.jpg", "~nobody-at-all/a.jpg: no such home folder"),
            ("/save ~nobody-at-all/a.jpg", "no such home folder"),
            ("/save", "/save takes the path of a file"),
            ("/save found.txt", "/save found.txt: end the name in .png or .jpg"),
            ("/save nowhere/found.png", "make it first"),
        ],
    )
    def test_a_bad_command_is_one_line_and_the_chat_continues(
        self, command: Command, photo: Path, line: str, words: str
    ) -> None:
        result = chat(command, photo, lines=(WHERE, line, WHERE))
        assert (result.code, result.out) == (1, "The dog is on the left.\n" * 2)
        complaint, farewell = result.err.splitlines()
        assert complaint.startswith("Error: ")
        assert words in complaint
        assert farewell.startswith("Session ")

    def test_to_quit_tells_whether_all_could_be_done(self, command: Command, photo: Path) -> None:
        for line, code in (("/help", 0), ("/find dog", 1)):
            result = chat(command, photo, lines=(WHERE, line, "/quit"))
            assert (result.code, result.out) == (code, "The dog is on the left.\n")

    def test_there_is_nothing_to_save_before_an_answer(self, command: Command, photo: Path) -> None:
        assert "ask something first" in chat(command, photo, lines=("/save found.png",)).err

    def test_a_failed_step_is_reported_and_the_chat_continues(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.answers[Task.VQA] = AssistantError("the model is tired")
        result = chat(command, photo, lines=("what colour is it?", WHERE))
        assert "the model is tired" in result.out
        assert result.out.endswith("The dog is on the left.\n")
        assert result.code == 1

    def test_an_unknown_session_and_picture_are_reported_before_the_model_runs(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        for arguments in ((photo, "--session", "none"), ("nowhere.jpg",)):
            result = chat(command, *arguments, lines=(WHERE,))
            assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert engine.requests == []


class Terminal:
    """A program in a pseudo-terminal, and its output."""

    def __init__(self, *arguments: object, database: Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "ASSISTANT_DB": str(database), "TERM": "xterm", "COLUMNS": "100"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "assistant.tests.ui.terminal", *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def press_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def wait_for(self, words: str) -> None:
        """Read until `words` appear, after those of the last call."""
        shown, deadline = "", time.monotonic() + 120
        while words not in shown:
            assert time.monotonic() < deadline, self.shown + shown
            if select.select([self._ours], [], [], 0.1)[0]:
                shown += os.read(self._ours, 65536).decode(errors="replace")
        self.shown += shown

    def close(self) -> int:
        code = self._process.wait(60)
        os.close(self._ours)
        return code


class TestTerminal:
    @pytest.fixture
    def terminal(self, photo: Path, database: Path) -> Iterator[Terminal]:
        terminal = Terminal("chat", photo, database=database)
        yield terminal
        terminal._process.kill()

    def test_an_answer_streams_in_ctrl_c_stops_it_and_what_was_said_is_kept(
        self, terminal: Terminal, database: Path
    ) -> None:
        terminal.wait_for("> ")
        assert "An image of 640 x 480 pixels" in terminal.shown
        terminal.type("describe the picture\r")
        terminal.wait_for("A dog runs and runs")
        terminal.press_ctrl_c()
        terminal.wait_for("> ")
        terminal.type(f"{WHERE}\r")
        terminal.wait_for("The dog is on the left.\r\n> ")
        terminal.type("\x1b[A")  # arrow up: the previous question
        terminal.wait_for(WHERE)
        terminal.type("\r")
        terminal.wait_for("The dog is on the left.\r\n> ")
        terminal.type("\x04")
        terminal.wait_for("continue with --session")
        assert terminal.close() == 0
        with SessionStore.open(database) as store:
            (session,) = store.list_sessions()
            first, second, third = store.turns(session.id)
        assert first.stopped
        assert first.answer.startswith("A dog runs and runs")
        assert len(first.answer) < 1000
        assert (second.user, third.user) == (WHERE, WHERE)

"""Ask about several images at once, and name images by pattern, URL or drag and drop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from assistant.storage import SessionStore

from .conftest import Command
from .fakes import ScriptedEngine
from .test_cli import assert_one_line, assert_wrong_use

WHERE = "where is the dog?"


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with two images and another file."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name, size in (("b.png", (100, 50)), ("a.png", (200, 100))):
        Image.new("RGB", size).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_each_picture_gets_its_answer_in_one_session(command: Command, album: Path, database: Path) -> None:
    result = command("ask", album / "b.png", album / "a.png", WHERE)
    assert result.code == 0
    assert result.out == f"{album}/b.png: The dog is on the left.\n{album}/a.png: The dog is on the left.\n"
    assert result.err.count("--session") == 1
    with SessionStore.open(database) as store:
        (session,) = store.list_sessions()
        assert [turn.image and turn.image.width for turn in store.turns(session.id)] == [100, 200]


def test_a_pattern_matches_files_in_order_with_a_json_line_each(command: Command, album: Path) -> None:
    result = command("ask", album / "*.png", WHERE, "--json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["image"]["path"] for line in lines] == [f"{album}/a.png", f"{album}/b.png"]
    assert [line["steps"][0]["boxes"][0]["box"] for line in lines] == [[24, 30, 70, 92], [12, 15, 35, 46]]
    assert (result.code, result.err) == (0, "")


def test_one_that_cannot_be_opened_leaves_the_others_their_answers(command: Command, album: Path) -> None:
    result = command("ask", album / "*", "nowhere.jpg", WHERE, "--json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [("answer" in line, "error" in line) for line in lines] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert lines[3]["image"] == {"path": "nowhere.jpg"}
    assert result.code == 1
    assert result.err.count("Error: ") == 2


def test_their_drawings_go_into_a_folder(command: Command, album: Path, tmp_path: Path) -> None:
    again = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(again)
    drawn = tmp_path / "drawn"
    assert command("ask", album / "a.png", album / "b.png", again, WHERE, "--save", drawn).code == 0
    sizes = {path.name: Image.open(path).size for path in drawn.iterdir()}
    assert sizes == {"a.png": (200, 100), "b.png": (100, 50), "a-3.png": (64, 64)}
    assert_wrong_use(command("ask", album / "*.png", WHERE, "--save", tmp_path / "x.png"), "name a folder")


def test_a_pattern_without_matches_and_a_missing_question_are_reported(
    command: Command, engine: ScriptedEngine, album: Path
) -> None:
    assert_one_line(command("ask", album / "*.jpg", WHERE), "no file matches", "*.jpg")
    assert_wrong_use(command("ask", album / "a.png", album / "b.png"), "QUESTION is missing")
    assert engine.requests == []


def test_a_single_argument_gets_the_missing_one_and_an_example(
    command: Command, engine: ScriptedEngine, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    example = 'assistant ask photo.jpg "where is the dog?"'
    for name in ("a.png", "nowhere.jpg"):
        assert_wrong_use(command("ask", name), f"the QUESTION is missing: {example}")
    assert_wrong_use(command("ask", WHERE), f"the IMAGE is missing: {example}")
    assert_wrong_use(command("ask", "a.png", "nowhere.jpg"), "the QUESTION is missing", example)
    assert_wrong_use(command("ask", WHERE, "a.png"), "or not the last: a.png is a file", example)
    assert_wrong_use(command("ask", "a.png", WHERE, "--task", "x"), "'x' is not one of")
    assert engine.requests == []


def test_a_drawing_that_cannot_be_saved_leaves_the_answers_a_line_each(
    command: Command, album: Path, tmp_path: Path
) -> None:
    (tmp_path / "drawn" / "a.png").mkdir(parents=True)
    result = command("ask", album / "*.png", WHERE, "--json", "--save", tmp_path / "drawn")
    assert ["answer" in json.loads(line) for line in result.out.splitlines()] == [True, True]
    assert result.code == 1
    assert result.err.count("Error: cannot write") == 1


def test_a_line_end_in_a_name_breaks_no_line(command: Command, album: Path) -> None:
    (album / "a.png").rename(album / "a\nb.png")
    assert len(command("ask", album / "*.png", WHERE).out.splitlines()) == 2


def test_a_name_with_brackets_is_a_name(command: Command, album: Path) -> None:
    (album / "a.png").rename(album / "a[1].png")
    assert command("ask", album / "a[1].png", WHERE).code == 0


def test_a_file_address_is_its_path(command: Command, album: Path) -> None:
    (album / "a.png").rename(album / "my photo.png")
    assert command("ask", (album / "my photo.png").as_uri(), WHERE).code == 0


class TestDropped:
    @pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', "escaped", "uri", "/image escaped", "/image {}"])
    def test_a_file_dropped_on_the_terminal_is_shown(
        self, command: Command, engine: ScriptedEngine, photo: Path, album: Path, form: str
    ) -> None:
        path = album / "my own photo.png"
        (album / "a.png").rename(path)
        text = form.format(path).replace("uri", path.as_uri())
        text = text.replace("escaped", str(path).replace(" ", "\\ "))
        result = command("chat", photo, stdin=f"{text} \n{WHERE}\n".encode())
        assert (result.code, result.out) == (0, "The dog is on the left.\n")
        assert engine.requests[0].image is not None
        assert engine.requests[0].image.size == (200, 100)

    def test_a_bare_name_of_a_picture_is_shown(
        self, command: Command, engine: ScriptedEngine, album: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(album)
        command("chat", stdin=f"\ufeffb.png\n{WHERE}\n".encode())
        assert engine.requests[0].image is not None
        assert engine.requests[0].image.size == (100, 50)

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("nowhere.jpg", "nowhere.jpg: there is no such file"),
            ("/home/nobody/my\\ photo.jpg", "/home/nobody/my photo.jpg: there is no such file"),
            ("https://example.org/cat.jpg", "not downloaded from URLs: save it first"),
            ("/find dog", "there is no command /find"),
        ],
    )
    def test_an_unreadable_picture_is_reported_with_a_remedy_and_not_asked_about(
        self, command: Command, engine: ScriptedEngine, photo: Path, line: str, words: str
    ) -> None:
        result = command("chat", photo, stdin=f"{line}\n".encode())
        assert (result.code, result.out) == (1, "")
        assert words in result.err
        assert engine.requests == []

    @pytest.mark.parametrize(
        "line", ["is this cat.jpg?", "what is ~5 m away?", "it's a dog, isn't it?", "dog"]
    )
    def test_words_are_asked(self, command: Command, photo: Path, line: str) -> None:
        assert command("chat", photo, stdin=f"{line}\n".encode()).out.strip()


class TestBeforeLoading:
    def test_an_unknown_model_is_reported_without_importing_torch(self, photo: Path) -> None:
        code = (
            "import sys\n"
            "sys.modules['torch'] = sys.modules['transformers'] = None\n"
            "from assistant.ui.cli import main\n"
            f"sys.argv = ['assistant', 'ask', {str(photo)!r}, 'what?', '--model', 'nope']\n"
            "main()"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert "no model 'nope': name one of nano" in result.stderr

    def test_version_is_printed(self, command: Command) -> None:
        result = command("--version")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("assistant 0.")

    def test_a_shell_completes_commands_models_and_sessions(
        self, command: Command, photo: Path, database: Path
    ) -> None:
        session = json.loads(command("ask", photo, WHERE, "--json").out)["session"]

        def completed(words: str) -> list[str]:
            environment = {
                **os.environ,
                "ASSISTANT_DB": str(database),
                "_ASSISTANT_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            }
            code = "import sys; sys.argv = ['assistant']; from assistant.ui.cli import main; main()"
            return subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
            ).stdout.split()

        assert completed("assistant se") == ["serve", "sessions"]
        assert completed("assistant ask --model na") == ["nano"]
        assert completed(f"assistant sessions show {session[:4]}")[0] == session

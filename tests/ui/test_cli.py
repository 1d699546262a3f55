"""The command line: what each command prints and stores, and how it fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from assistant.storage import SessionStore
from assistant.storage.exporting import FORMATS
from assistant.ui.cli import app
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from .conftest import Command, Result
from .fakes import ScriptedEngine

HEAVY = {"torch", "transformers", "langchain", "langchain_core", "streamlit", "sqlalchemy", "PIL"}


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the name and the object of every command and group."""
    yield names, group
    for name, sub in getattr(group, "commands", {}).items():
        yield from commands(sub, *names, name)


ALL = dict(commands(typer.main.get_command(app)))


def ask(command: Command, *arguments: object, stdin: bytes = b"") -> dict[str, Any]:
    result = command("ask", *arguments, "--json", stdin=stdin)
    assert (result.code, result.err) == (0, ""), result
    answer: dict[str, Any] = json.loads(result.out)
    return answer


def assert_one_line(result: Result, *words: str) -> None:
    """Assert failure with one line on stderr that contains all `words`, and nothing on stdout."""
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    assert all(word in result.err for word in words), result.err


def assert_wrong_use(result: Result, *words: str) -> None:
    assert (result.code, result.out) == (2, "")
    assert all(word in result.complaint for word in words), result.complaint


class TestHelp:
    @pytest.mark.parametrize("words", ALL, ids=" ".join)
    def test_every_command_explains_itself_with_its_examples(
        self, command: Command, words: tuple[str, ...]
    ) -> None:
        result = command(*words, "--help")
        assert (result.code, result.err) == (0, "")
        shown = " ".join(result.out.split())
        documented = f"{ALL[words].help or ''}\n{ALL[words].epilog or ''}".replace("`", "")
        assert documented.strip().split("\n")[0] in shown
        examples = [line.strip() for line in documented.splitlines() if "  assistant " in f"  {line.strip()}"]
        assert all(" ".join(example.split()) in shown for example in examples)
        assert not re.search(r"Usage: .*[\[{][a-z]", result.out)  # placeholders are in capitals
        assert "[default: True]" not in result.out  # of a --no-... option

    @pytest.mark.parametrize("words", [(), ("ask",), ("plan",), ("train",), ("evaluate",)], ids=" ".join)
    def test_the_commands_that_people_begin_with_show_an_example(
        self, command: Command, words: tuple[str, ...]
    ) -> None:
        assert f"assistant {' '.join(words)}".strip() in command(*words, "--help").out.partition("Example")[2]

    @pytest.mark.parametrize("words", ["", "ask", "sessions list", "train"])
    def test_help_is_printed_without_loading_anything_heavy(self, words: str) -> None:
        code = (
            "import json, sys\n"
            f"sys.argv = ['assistant', *{words.split()!r}, '--help']\n"
            "from assistant.ui.cli import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert HEAVY.intersection(json.loads(run.stdout.splitlines()[-1])) == set()
        assert "Usage: " in run.stdout

    def test_an_unknown_command_and_an_unknown_option_are_wrong_use(
        self, command: Command, photo: Path
    ) -> None:
        assert_wrong_use(command("describe", photo), "No such command 'describe'")
        assert_wrong_use(command("ask", photo, "what?", "--sav", "x.png"), "No such option", "--sav")


class TestAsking:
    def test_stdout_holds_only_the_answer(self, command: Command, photo: Path) -> None:
        result = command("ask", photo, "where is the dog?")
        assert (result.code, result.out) == (0, "The dog is on the left.\n")
        assert result.err.startswith("Session ")
        assert "--session" in result.err

    def test_json_has_exactly_the_promised_form(self, command: Command, photo: Path) -> None:
        answer = ask(command, photo, "where is the man in red?")
        assert list(answer) == ["session", "turn", "image", "answer", "steps", "model", "seconds"]
        assert list(answer["image"]) == ["path", "width", "height", "sha256"]
        assert (answer["image"]["path"], answer["image"]["width"]) == (str(photo), 640)
        assert (answer["turn"], answer["model"]) == (1, "scripted")
        assert isinstance(answer["seconds"], float)
        (step,) = answer["steps"]
        assert isinstance(step.pop("seconds"), float)
        assert step == {
            "task": "refer",
            "argument": "the man in red",
            "region": None,
            "text": "The man in red is on the left.",
            "raw": "{<12><30><35><92>}",
            "boxes": [
                {
                    "phrase": "the man in red",
                    "box": [76.8, 144.0, 224.0, 441.6],
                    "bins": [12, 30, 35, 92],
                    "score": 0.83,
                }
            ],
        }

    def test_boxes_are_in_pixels_of_the_picture_as_a_person_sees_it(
        self, command: Command, tmp_path: Path
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (400, 200)).save(tmp_path / "turned.jpg", exif=exif)
        answer = ask(command, tmp_path / "turned.jpg", "where is the dog?")
        assert (answer["image"]["width"], answer["image"]["height"]) == (200, 400)
        assert answer["steps"][0]["boxes"][0]["box"] == [24.0, 120.0, 70.0, 368.0]

    def test_boxes_fit_the_file_where_the_model_saw_it_reduced(
        self, command: Command, engine: ScriptedEngine, tmp_path: Path
    ) -> None:
        Image.new("L", (10_000, 100)).save(tmp_path / "wide.png")
        result = command("ask", tmp_path / "wide.png", "where is the dog?", "--json")
        assert json.loads(result.out)["steps"][0]["boxes"][0]["box"] == [1200.0, 30.0, 3500.0, 92.0]
        assert result.err == "Note: reduced from 10000 x 100 to 4096 x 41 pixels\n"
        assert engine.requests[0].image is not None
        assert engine.requests[0].image.size == (4096, 41)

    def test_a_score_that_the_engine_does_not_give_is_null(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.score = None
        assert ask(command, photo, "where is the dog?")["steps"][0]["boxes"][0]["score"] is None

    def test_boxes_that_were_verified_say_what_the_model_thinks_of_them(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.answers[Task.IDENTIFY] = "a red car"
        answer = ask(command, photo, "where is the dog?", "--verify")
        (box,) = answer["steps"][0]["boxes"]
        assert box["verified"] == {"agrees": False, "opinion": "a red car"}
        assert "disagrees" in answer["answer"]

    def test_a_typed_identifier_is_obeyed(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        assert ask(command, photo, "[refer] describe the dog")["steps"][0]["task"] == "refer"
        assert (engine.requests[0].task, engine.requests[0].argument) == (Task.REFER, "describe the dog")

    @pytest.mark.parametrize("task", [task for task in Task if task is not Task.IDENTIFY])
    def test_the_task_option_overrides_the_words(
        self, command: Command, engine: ScriptedEngine, photo: Path, task: Task
    ) -> None:
        answer = ask(command, photo, "how many dogs?", "--task", task)
        assert [step["task"] for step in answer["steps"]] == [task]
        assert [request.task for request in engine.requests] == [task]

    def test_an_unknown_task_is_wrong_use(self, command: Command, photo: Path) -> None:
        assert_wrong_use(command("ask", photo, "x", "--task", "segment"), "'segment' is not one of 'caption'")

    def test_a_picture_comes_from_stdin(self, command: Command, photo: Path) -> None:
        answer = ask(command, "-", "where is the dog?", stdin=photo.read_bytes())
        assert (answer["image"]["path"], answer["image"]["height"]) == (None, 480)
        assert len(answer["image"]["sha256"]) == 64

    def test_a_picture_is_not_awaited_from_the_keyboard(self, command: Command) -> None:
        result = command("ask", "-", "where is the dog?", typed=True)
        assert_wrong_use(result, 'cat photo.jpg | assistant ask - "where is the dog?"')

    def test_nothing_on_stdin_is_one_line(self, command: Command) -> None:
        assert_one_line(command("ask", "-", "where is the dog?"), "the file is empty")

    def test_a_question_that_is_no_unicode_is_answered_and_kept(self, command: Command, photo: Path) -> None:
        answer = ask(command, photo, "what is caf\udce9?")
        assert "what is caf??" in command("sessions", "show", answer["session"]).out

    @pytest.mark.parametrize("question", ["", "  ", "\n", "\u200b\ufeff", "[vqa]", "[refer]  "])
    def test_what_asks_nothing_is_refused_and_not_kept(
        self, command: Command, engine: ScriptedEngine, photo: Path, question: str
    ) -> None:
        assert_one_line(command("ask", photo, question), "write a" if "[" in question else "is empty")
        assert_one_line(command("ask", photo, "", "--task", "detection"), "[detection] needs words")
        assert command("sessions", "list").out == ""
        assert engine.requests == []

    @pytest.mark.parametrize(
        "words", [["[caption]"], ["", "--task", "caption"], ["", "--region", "1,1,99,99"]]
    )
    def test_a_task_or_a_region_says_what_is_wanted_without_words(
        self, command: Command, photo: Path, words: list[str]
    ) -> None:
        (step,) = ask(command, photo, *words)["steps"]
        assert step["task"] == ("identify" if "--region" in words else "caption")

    @pytest.mark.parametrize("question", ["???", "x" * 5000])
    def test_any_text_is_answered(self, command: Command, photo: Path, question: str) -> None:
        result = command("ask", photo, question)
        assert result.code == 0
        assert result.out.strip()

    def test_a_turn_in_which_nothing_could_be_done_says_why_and_fails(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        engine.answers[Task.CAPTION] = AssistantError("the model is tired")
        result = command("ask", photo, "[caption]", "--json")
        (step,) = json.loads(result.out)["steps"]
        assert (result.code, step["error"], step["boxes"]) == (1, "the model is tired", [])
        assert "the model is tired" in command("ask", photo, "[caption]").out


class TestRegion:
    def test_a_region_is_given_in_pixels_and_comes_back_in_pixels(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        (step,) = ask(command, photo, "what is this?", "--region", "64,48,320,240")["steps"]
        assert (step["task"], step["region"]) == ("identify", [64.0, 48.0, 320.0, 240.0])
        assert step["boxes"] == [
            {"phrase": "brown dog", "box": step["region"], "bins": [10, 10, 50, 50], "score": None}
        ]
        assert engine.requests[0].region == Box(10, 10, 50, 50)

    def test_a_box_copied_from_json_is_the_same_box(
        self, command: Command, engine: ScriptedEngine, tmp_path: Path
    ) -> None:
        photo = tmp_path / "odd.png"
        Image.new("RGB", (451, 303)).save(photo)
        engine.answers[Task.REFER] = "{<7><29><57><58>}"
        (step,) = ask(command, photo, "where is the dog?")["steps"]
        (found,) = step["boxes"]
        (again,) = ask(command, photo, "what is this?", "--region", str(found["box"]))["steps"]
        assert (again["boxes"][0]["bins"], again["region"]) == (found["bins"], found["box"])

    @pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "1,2,3,4,5", "", ",,,", "1;2;3;4"])
    def test_what_is_no_region_is_wrong_use(self, command: Command, photo: Path, region: str) -> None:
        assert_wrong_use(
            command("ask", photo, "what is this?", "--region", region), "--region", "x0,y0,x1,y1"
        )

    @pytest.mark.parametrize(
        ("region", "problem"),
        [
            ("-1,0,9,9", "outside of the image of 640 x 480"),
            ("0,0,641,9", "outside of the image of 640 x 480"),
            ("700,0,710,9", "outside of the image of 640 x 480"),
            ("nan,0,1,1", "four numbers of pixels"),
            ("0.1,0.1,0.5,0.5", "pixels are wanted: give [64, 48, 320, 240]"),
            ("320,240,64,48", "give [64, 48, 320, 240]"),
            ("64,48,64,240", "has no area"),
        ],
    )
    def test_what_is_no_region_of_the_picture_is_wrong_use(
        self, command: Command, engine: ScriptedEngine, photo: Path, region: str, problem: str
    ) -> None:
        result = command("ask", photo, "what is this?", "--region", region)
        assert_wrong_use(result, "--region", problem)
        assert engine.requests == []


class TestSaving:
    def test_the_annotated_picture_is_saved_and_its_path_printed(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "found.png"
        result = command("ask", photo, "where is the dog?", "--save", out)
        assert result.out == "The dog is on the left.\n"
        assert f"Saved {out}\n" in result.err
        with Image.open(out) as drawn:
            assert drawn.size == (640, 480)
            assert drawn.convert("RGB").getcolors() != [(640 * 480, (255, 255, 255))]

    @pytest.mark.parametrize("name", ["found", "found.txt", "found.psd", "found.jpeg2", ".png"])
    def test_a_name_that_is_no_pictures_is_wrong_use_before_the_model_works(
        self, command: Command, engine: ScriptedEngine, photo: Path, tmp_path: Path, name: str
    ) -> None:
        result = command("ask", photo, "where is the dog?", "--save", tmp_path / name)
        assert_wrong_use(result, "--save", "end the name in .png or .jpg")
        assert engine.requests == []

    def test_a_missing_drawing_extra_is_reported_before_the_model_runs(
        self,
        command: Command,
        engine: ScriptedEngine,
        photo: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "supervision", None)
        result = command("ask", photo, "where is the dog?", "--save", tmp_path / "found.png")
        assert_one_line(result, "pip install 'visual-assistant[drawing]'")
        assert engine.requests == []
        assert command("ask", photo, "where is the dog?").code == 0

    def test_a_missing_folder_is_reported_before_the_model_runs(
        self, command: Command, engine: ScriptedEngine, photo: Path, tmp_path: Path
    ) -> None:
        missing = tmp_path / "nowhere"
        result = command("ask", photo, "where is the dog?", "--save", missing / "found.png")
        assert_one_line(result, str(missing), "make it first")
        assert engine.requests == []

    @pytest.mark.parametrize("name", ["photo.png", "../photos/photo.png", "link.png"])
    def test_the_picture_itself_is_never_overwritten(
        self,
        command: Command,
        engine: ScriptedEngine,
        photo: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        photo = photo.rename(folder / "photo.png")
        (folder / "link.png").symlink_to("photo.png")
        monkeypatch.chdir(folder)
        before = photo.read_bytes()
        assert_wrong_use(
            command("ask", "photo.png", "where is the dog?", "--save", name), "is the image itself"
        )
        assert engine.requests == []
        assert photo.read_bytes() == before

    def test_drawings_of_several_pictures_spare_the_pictures_in_their_folder(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "photo-2.png"
        Image.new("RGB", (64, 48)).save(other)
        before = [photo.read_bytes(), other.read_bytes()]
        result = command("ask", photo, other, "where is the dog?", "--save", tmp_path)
        assert result.code == 0
        assert [photo.read_bytes(), other.read_bytes()] == before
        assert {path.name for path in tmp_path.glob("*.png")} == {
            "photo.png",
            "photo-2.png",
            "photo-1.png",
            "photo-2-2.png",
        }

    @pytest.mark.skipif(sys.platform == "win32", reason="a file size limit stands for a full disk")
    def test_a_full_disk_leaves_an_earlier_drawing_as_it_was(self, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "found.bmp"
        out.write_bytes(b"an earlier drawing")
        code = (
            "import resource, signal, sys; from pathlib import Path; from types import SimpleNamespace\n"
            "from assistant.ui.commands.pictures import save_drawing\n"
            "from assistant.vlm.errors import AssistantError\n"
            "from assistant.vlm.pictures import open_picture\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
            "try: save_drawing(open_picture(sys.argv[1]), SimpleNamespace(phrases=()), Path(sys.argv[2]))\n"
            "except AssistantError as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, photo, out], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"cannot write {out}: File too large\n"
        assert out.read_bytes() == b"an earlier drawing"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["found.bmp", "photo.png"]

    def test_an_answer_whose_drawing_cannot_be_written_is_still_printed(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "found.png").mkdir()
        result = command("ask", photo, "where is the dog?", "--save", tmp_path / "found.png")
        assert (result.code, result.out) == (1, "The dog is on the left.\n")
        assert "Error: cannot write" in result.err


class TestSessions:
    @pytest.fixture
    def session(self, command: Command, photo: Path) -> str:
        """A session with one turn."""
        return str(ask(command, photo, "where is the dog?")["session"])

    def test_a_session_continues(
        self, command: Command, engine: ScriptedEngine, photo: Path, session: str
    ) -> None:
        answer = ask(command, photo, "what colour is it?", "--session", session)
        assert (answer["session"], answer["turn"], answer["answer"]) == (session, 2, "Brown.")
        assert engine.requests[-1].argument == "what colour is the dog?"

    def test_an_unknown_session_is_one_line_before_the_model_works(
        self, command: Command, engine: ScriptedEngine, photo: Path
    ) -> None:
        for name in ("nobody", ""):
            assert_one_line(command("ask", photo, "what?", "--session", name), f"no session {name!r}")
        assert engine.requests == []

    @pytest.mark.parametrize("words", ["show", "export", "delete --yes"])
    def test_every_command_tells_an_unknown_session_in_one_line(self, command: Command, words: str) -> None:
        assert_one_line(command("sessions", *words.split(), "nobody"), "no session 'nobody'")

    def test_the_list_names_what_was_asked(self, command: Command, session: str) -> None:
        line = command("sessions", "list").out
        assert line.startswith(session)
        assert "1 turn " in line
        assert line.endswith("where is the dog?\n")
        (listed,) = json.loads(command("sessions", "list", "--json").out)
        assert list(listed) == ["id", "title", "created", "updated", "turns", "owner"]
        assert (listed["id"], listed["turns"]) == (session, 1)

    def test_an_empty_list_is_empty(self, command: Command) -> None:
        assert command("sessions", "list") == Result(0, "", "")
        assert command("sessions", "list", "--json").out == "[]\n"

    def test_a_session_is_shown_turn_by_turn(self, command: Command, session: str) -> None:
        result = command("sessions", "show", session)
        assert result.out == (
            f"where is the dog? ({session})\n\n1. where is the dog?\n   [refer] The dog is on the left.\n"
        )
        assert json.loads(command("sessions", "show", session, "--json").out)["session"]["id"] == session

    def test_what_is_found_is_shown_as_json(self, command: Command, session: str) -> None:
        (hit,) = json.loads(command("sessions", "search", "dog", "--json").out)
        assert list(hit) == ["session", "title", "turn", "snippet", "created"]
        assert (hit["session"], hit["title"], hit["turn"]) == (session, "where is the dog?", 1)
        assert "dog" in hit["snippet"]
        assert command("sessions", "search", "zebra", "--json").out == "[]\n"

    def test_the_list_is_in_local_time_and_a_line_each(
        self, command: Command, session: str, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SessionStore.open(database) as store:
            store.rename_session(session, "dogs\nand \x1b[31mcats")
            utc = store.get_session(session).updated
        monkeypatch.setenv("TZ", "XXX-14")
        time.tzset()
        try:
            listed = command("sessions", "list").out
        finally:
            monkeypatch.undo()
            time.tzset()
        later = utc.astimezone(timezone(timedelta(hours=14)))
        assert listed == f"{session}  {later:%Y-%m-%d %H:%M}      1 turn  dogs and  [31mcats\n"

    def test_words_are_found(self, command: Command, session: str) -> None:
        result = command("sessions", "search", "dog")
        assert result.out.startswith(f"{session} turn 1: ")
        assert command("sessions", "search", "zebra") == Result(0, "", "Nothing found.\n")

    def test_what_is_exported_to_a_pipe_can_be_imported_from_it(self, command: Command, session: str) -> None:
        exported = command("sessions", "export", session).out
        imported = command("sessions", "import", "-", stdin=exported.encode())
        assert imported.code == 0
        assert "where is the dog?" in command("sessions", "show", imported.out.strip()).out

    def test_what_is_exported_as_json_can_be_imported(
        self, command: Command, session: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "session.json"
        assert command("sessions", "export", session, "--out", file) == Result(0, f"{file}\n", "")
        imported = command("sessions", "import", file).out.strip()
        assert imported != session
        shown = [command("sessions", "show", name).out.replace(name, "") for name in (session, imported)]
        assert shown[0] == shown[1]

    def test_a_session_is_exported_to_stdout(self, command: Command, session: str) -> None:
        result = command("sessions", "export", session)
        assert json.loads(result.out)["turns"][0]["user"] == "where is the dog?"

    def test_boxes_are_exported_as_coco(self, command: Command, session: str) -> None:
        coco = json.loads(command("sessions", "export", session, "--format", "coco").out)
        assert coco["annotations"][0]["bbox"] == pytest.approx([76.8, 144.0, 147.2, 297.6])
        assert coco["categories"] == [{"id": 1, "name": "the dog"}]

    @pytest.mark.parametrize(("form", "labels"), [("yolo", "labels"), ("voc", "Annotations")])
    def test_boxes_are_exported_for_detectors_with_the_pictures(
        self, command: Command, session: str, tmp_path: Path, form: str, labels: str
    ) -> None:
        arguments = ("sessions", "export", session, "--format", form, "--out")
        assert command(*arguments, tmp_path / "set").out == f"{tmp_path / 'set'}\n"
        assert len(list((tmp_path / "set" / labels).iterdir())) == 1
        assert command(*arguments, tmp_path / "set.zip").code == 0
        assert (tmp_path / "set.zip").read_bytes().startswith(b"PK")
        assert_one_line(command(*arguments, tmp_path / "nowhere" / "set.zip"), "set.zip")
        assert_wrong_use(command(*arguments[:-1]), "--out FOLDER")

    def test_a_session_is_exported_as_markdown_with_its_pictures(
        self, command: Command, session: str, tmp_path: Path
    ) -> None:
        result = command("sessions", "export", session, "--format", "markdown", "--out", tmp_path / "md")
        folder = Path(result.out.strip())
        assert "The dog is on the left" in (folder / "conversation.md").read_text()
        assert {path.name for path in folder.iterdir()} == {"conversation.md", "picture-1.png"}

    def test_an_unknown_format_is_wrong_use_that_names_the_formats(
        self, command: Command, session: str
    ) -> None:
        result = command("sessions", "export", session, "--format", "csv")
        assert_wrong_use(result, *FORMATS)
        named = " ".join(command("sessions", "export", "--help").out.split())
        assert [name for name in FORMATS if name not in named] == []

    def test_markdown_without_a_folder_is_wrong_use(self, command: Command, session: str) -> None:
        result = command("sessions", "export", session, "--format", "markdown")
        assert_wrong_use(result, "--out FOLDER")

    def test_an_export_that_cannot_be_written_is_one_line(
        self, command: Command, session: str, tmp_path: Path
    ) -> None:
        missing = tmp_path / "nowhere" / "session.json"
        assert_one_line(command("sessions", "export", session, "--out", missing), str(missing))
        photo = tmp_path / "photo.png"
        result = command("sessions", "export", session, "--format", "markdown", "--out", photo)
        assert_one_line(result, str(photo))

    def test_the_beginning_of_an_id_is_enough(self, command: Command, photo: Path, session: str) -> None:
        beginning = session[:10]
        assert ask(command, photo, "what colour is it?", "--session", beginning)["session"] == session
        assert json.loads(command("sessions", "show", beginning, "--json").out)["session"]["id"] == session
        assert json.loads(command("sessions", "export", beginning).out)["session"]["id"] == session
        assert command("sessions", "delete", beginning, "--yes").err == f"Deleted {session}\n"

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
    def test_an_export_is_read_as_editors_and_shells_write_it(
        self, command: Command, session: str, tmp_path: Path, encoding: str
    ) -> None:
        file = tmp_path / "session.json"
        file.write_bytes(command("sessions", "export", session).out.encode(encoding))
        imported = command("sessions", "import", file)
        assert imported.code == 0
        assert "where is the dog?" in command("sessions", "show", imported.out.strip()).out

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b"\xff\xfe"])
    def test_what_is_no_export_is_refused_in_one_line(
        self, command: Command, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "session.json").write_bytes(content)
        assert_one_line(command("sessions", "import", tmp_path / "session.json"))
        assert command("sessions", "list").out == ""

    def test_an_export_is_not_awaited_from_the_keyboard(self, command: Command) -> None:
        remedy = "cat session.json | assistant sessions import -"
        assert_wrong_use(command("sessions", "import", "-", typed=True), remedy)

    def test_importing_a_missing_file_is_one_line(self, command: Command, tmp_path: Path) -> None:
        assert_one_line(command("sessions", "import", tmp_path / "nowhere.json"), "nowhere.json")

    def test_deleting_asks_first(self, command: Command, session: str) -> None:
        refused = command("sessions", "delete", session, stdin=b"n\n", typed=True)
        assert refused.code == 1
        assert "with 1 turn?" in refused.err
        assert session in command("sessions", "list").out
        agreed = command("sessions", "delete", session, stdin=b"y\n", typed=True)
        assert (agreed.code, command("sessions", "list").out) == (0, "")

    @pytest.mark.parametrize("stdin", [b"", b"y\n"])
    def test_deleting_without_a_terminal_needs_the_option(
        self, command: Command, session: str, stdin: bytes
    ) -> None:
        assert_one_line(command("sessions", "delete", session, stdin=stdin), "give --yes to delete")
        assert session in command("sessions", "list").out

    def test_deleting_takes_the_picture_along(self, command: Command, session: str, database: Path) -> None:
        pictures = Path(f"{database}.images")
        assert [path.suffix for path in pictures.iterdir() if path.suffix] == [".png"]
        assert command("sessions", "delete", session, "--yes").err == f"Deleted {session}\n"
        assert [path.suffix for path in pictures.iterdir() if path.suffix] == []


class TestTools:
    @pytest.mark.parametrize("typed", [True, False])
    def test_mcp_on_a_terminal_says_that_it_waits_for_a_client(
        self, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: bool
    ) -> None:
        monkeypatch.setattr("assistant.tools.mcp_server.serve", lambda *_: None)
        result = command("mcp", "--folder", tmp_path, typed=typed)
        assert (result.code, result.out) == (0, "")
        assert ("Waiting for an MCP client" in result.err) is typed


class TestDatabase:
    COMMANDS: tuple[Callable[[str, Path], tuple[object, ...]], ...] = (
        lambda session, photo: ("ask", photo, "what colour is it?", "--session", session),
        lambda session, _: ("sessions", "show", session),
        lambda session, _: ("sessions", "export", session),
        lambda session, _: ("sessions", "delete", session, "--yes"),
    )

    @pytest.mark.parametrize("arguments", COMMANDS, ids=["ask", "show", "export", "delete"])
    def test_every_command_that_names_a_session_uses_the_given_database(
        self,
        command: Command,
        photo: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: Callable[[str, Path], tuple[object, ...]],
    ) -> None:
        other = tmp_path / "other" / "own.db"
        session = ask(command, photo, "where is the dog?", "--db", other)["session"]
        words = arguments(session, photo)
        assert_one_line(command(*words), "no session")
        assert command(*words, "--db", other).code == 0
        again = ask(command, photo, "where is the dog?", "--db", other)["session"]
        monkeypatch.setenv("ASSISTANT_DB", str(other))
        assert command(*arguments(again, photo)).code == 0

    def test_list_search_and_import_use_the_given_database(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        other, file = tmp_path / "own.db", tmp_path / "session.json"
        session = ask(command, photo, "where is the dog?", "--db", other)["session"]
        command("sessions", "export", session, "--out", file, "--db", other)
        assert command("sessions", "list").out == command("sessions", "search", "dog").out == ""
        assert session in command("sessions", "list", "--db", other).out
        assert session in command("sessions", "search", "dog", "--db", other).out
        imported = command("sessions", "import", file, "--db", other).out.strip()
        assert imported in command("sessions", "list", "--db", other).out
        assert command("sessions", "list").out == ""

    LOOKING = (("list",), ("search", "dog"), ("show", "x"), ("export", "x"), ("delete", "x", "--yes"))

    @pytest.mark.parametrize("words", LOOKING, ids=" ".join)
    def test_looking_never_makes_a_database(
        self, command: Command, database: Path, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        missing = tmp_path / "folder" / "misspelt.db"
        assert_one_line(command("sessions", *words, "--db", missing), str(missing), "--db")
        empty = tmp_path / "empty.db"
        empty.touch()
        assert_one_line(command("sessions", *words, "--db", empty), str(empty), "no sessions")
        result = command("sessions", *words)
        assert (result.code == 0, result.out) == (len(words) < 2 or words[0] == "search", "")
        assert not missing.parent.exists()
        assert not database.parent.exists()
        assert empty.stat().st_size == 0

    def test_going_on_with_a_session_never_makes_a_database(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        missing = tmp_path / "misspelt.db"
        assert_one_line(command("ask", photo, "what?", "--session", "3f", "--db", missing), str(missing))
        assert_one_line(command("chat", photo, "--session", "3f", "--db", missing), str(missing))
        assert not missing.exists()

    def test_the_option_wins_over_the_environment(
        self, command: Command, photo: Path, database: Path, tmp_path: Path
    ) -> None:
        ask(command, photo, "where is the dog?", "--db", tmp_path / "own.db")
        assert not database.exists()

    @pytest.mark.parametrize("words", ["ask PHOTO what?", "sessions list", "sessions search dog"])
    def test_a_file_that_is_no_database_is_one_line(self, command: Command, photo: Path, words: str) -> None:
        arguments = [photo if word == "PHOTO" else word for word in words.split()]
        assert_one_line(command(*arguments, "--db", photo), str(photo))

    def test_a_folder_that_cannot_be_made_is_one_line(self, command: Command, photo: Path) -> None:
        assert_one_line(command("sessions", "list", "--db", photo / "sessions.db"), "--db")

    def test_an_unknown_home_folder_is_one_line(self, command: Command) -> None:
        result = command("sessions", "list", "--db", "~nobody-at-all/sessions.db")
        assert_one_line(result, "~nobody-at-all/sessions.db", "home folder")


class TestInterrupting:
    def test_ctrl_c_while_the_model_works_leaves_the_database_whole(
        self, command: Command, engine: ScriptedEngine, photo: Path, database: Path
    ) -> None:
        session = ask(command, photo, "where is the dog?")["session"]
        engine.answers[Task.VQA] = KeyboardInterrupt()
        for more in ((), ("--session", session)):
            result = command("ask", photo, "what colour is the dog?", *more)
            assert (result.code, result.out) == (130, "")
            assert "Traceback" not in result.err
        with SessionStore.open(database) as store:
            assert [(found.id, found.turns) for found in store.list_sessions()] == [(session, 1)]
            assert store.verify() == []
        engine.answers[Task.VQA] = "brown"
        assert ask(command, photo, "what colour is it?", "--session", session)["turn"] == 2


class TestModels:
    @pytest.mark.parametrize("words", ["pull", "show"])
    def test_an_unknown_name_is_one_line_with_the_known_ones(self, command: Command, words: str) -> None:
        assert_one_line(command("models", words, "maxi"), "'maxi'", "nano")

    def test_a_model_that_is_not_here_says_how_to_fetch_it(self, command: Command) -> None:
        assert "assistant models pull nano" in command("models", "list").out
        (listed,) = json.loads(command("models", "list", "--json").out)
        assert (listed["name"], listed["present"], listed["size_bytes"]) == ("nano", False, 0)

    def test_a_model_is_shown_with_the_licence_of_each_part(self, command: Command) -> None:
        result = command("models", "show", "nano")
        assert "not fetched" in result.out
        assert "Apache-2.0" in result.out
        assert "MIT" in result.out
        parts = json.loads(command("models", "show", "nano", "--json").out)["parts"]
        assert all(len(part["sha256"]) == 64 for part in parts)

    def test_converting_what_is_not_there_is_one_line(self, command: Command, tmp_path: Path) -> None:
        missing = tmp_path / "llama"
        result = command("models", "convert", missing, "eva_vit_g.pth", "checkpoint.pth", tmp_path / "out")
        assert_one_line(result, str(missing), "no LLaMA-2 directory")
        assert_one_line(command("models", "convert", missing, "e", "c", tmp_path), "already there")

    def test_asking_a_model_that_is_not_there_is_one_line(
        self, command: Command, photo: Path, tmp_path: Path
    ) -> None:
        for model in ("maxi", tmp_path / "nowhere", tmp_path):
            result = command("ask", photo, "what?", "--model", model)
            assert_one_line(result, f"no model {str(model)!r}", "nano")
        assert command("sessions", "list").out == ""

    @pytest.mark.parametrize("content", ['{"base_model_name_or_path": "somebody/else"}', "{", "[]", "{}"])
    def test_an_adapter_of_another_model_is_one_line(
        self, command: Command, photo: Path, tmp_path: Path, content: str
    ) -> None:
        (tmp_path / "adapter_config.json").write_text(content)
        assert_one_line(command("ask", photo, "what?", "--model", tmp_path), str(tmp_path))


class TestPlanning:
    def test_a_plan_is_shown_without_running_it(self, command: Command, engine: ScriptedEngine) -> None:
        result = command("plan", "describe the picture and find the dog")
        assert result.out == "[caption]\n[refer] the dog\n"
        assert result.err.startswith("Why: ")
        assert engine.requests == []

    def test_plan_shows_that_a_step_uses_the_box_of_another(self, command: Command) -> None:
        plan = command("plan", "find the dog and tell me what colour it is").out
        assert plan.startswith("[refer] the dog\n[vqa] what colour ")
        assert plan.endswith(" (in the box that step 1 finds)\n")

    def test_a_plan_is_shown_as_json(self, command: Command) -> None:
        plan = json.loads(command("plan", "find the dog", "--json").out)
        assert plan["steps"] == [{"task": "refer", "argument": "the dog", "region": None}]
        assert plan["why"]

    def test_cases_become_plans_line_by_line(self, command: Command) -> None:
        cases = [
            {"id": "a", "user": "where is the dog?"},
            {"id": "ä", "user": "what colour is it?", "history": [REFERRED]},
            {"id": "c", "user": "what is this?", "region": [1, 2, 30, 40]},
        ]
        result = command("plan", "--jsonl", stdin="\n".join(map(json.dumps, cases)).encode())
        assert result.err == ""
        assert [json.loads(line) for line in result.out.splitlines()] == [
            {"id": "a", "steps": [{"task": "refer", "argument": "the dog", "region": None}]},
            {"id": "ä", "steps": [{"task": "vqa", "argument": "what colour is the dog?", "region": None}]},
            {
                "id": "c",
                "steps": [{"task": "identify", "argument": "", "region": [1, 2, 30, 40]}],
            },
        ]

    @pytest.mark.parametrize(
        "line",
        [
            b"not json",
            b"[1]",
            b'{"id": "b"}',
            b'{"id": "b", "user": 3}',
            b'{"id": "b", "user": "x", "region": [0, 0, 200, 1]}',
            b'{"id": "b", "user": ' + b"[" * 100_000,
            b'{"id": ' + b"9" * 5000 + b"}",
            b"\xff\xfe",
        ],
    )
    def test_a_malformed_line_is_one_line_with_its_number(self, command: Command, line: bytes) -> None:
        result = command("plan", "--jsonl", stdin=b'{"id": "a", "user": "find the dog"}\n\n' + line)
        assert result.code == 1
        assert json.loads(result.out)["id"] == "a"
        assert result.err.startswith("Error: line 3: ")
        assert result.err.count("\n") == 1

    def test_cases_are_not_awaited_from_the_keyboard(self, command: Command) -> None:
        assert_wrong_use(command("plan", "--jsonl", typed=True), "cat cases.jsonl | assistant plan --jsonl")

    def test_half_a_surrogate_pair_is_planned(self, command: Command) -> None:
        result = command("plan", "--jsonl", stdin=rb'{"id": "\ud800", "user": "what is \udfff?"}')
        assert (result.code, json.loads(result.out)["id"]) == (0, "\ud800")

    @pytest.mark.parametrize("arguments", [(), ("find the dog", "--jsonl")], ids=["neither", "both"])
    def test_a_message_or_cases_are_wanted(self, command: Command, arguments: tuple[str, ...]) -> None:
        assert_wrong_use(command("plan", *arguments), "either a message or --jsonl")


REFERRED = {
    "user": "where is the dog?",
    "steps": [{"task": "refer", "arg": "the dog", "boxes": [[10, 10, 40, 40]]}],
    "answer": "The dog is on the left.",
}


class TestData:
    def test_a_training_folder_without_annotations_is_reported_before_any_download(
        self, command: Command, tmp_path: Path
    ) -> None:
        result = command("train", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
        assert_one_line(result, "annotations.jsonl", "folder of annotated photos")
        assert not (tmp_path / "run").exists()

    def test_evaluating_on_a_folder_without_annotations_is_one_line(
        self, command: Command, tmp_path: Path
    ) -> None:
        result = command("evaluate", "--data", tmp_path / "nowhere", "--out", tmp_path / "report.json")
        assert_one_line(result, "annotations.jsonl")

    def test_an_unknown_task_to_evaluate_is_wrong_use(self, command: Command, tmp_path: Path) -> None:
        arguments = ("--data", tmp_path, "--out", tmp_path / "report.json", "--tasks", "refer,segment")
        assert_wrong_use(command("evaluate", *arguments), "'segment' is none of phrase_refer, ")

    def test_an_unwritable_report_is_reported_before_the_model_runs(
        self, command: Command, engine: ScriptedEngine, tmp_path: Path
    ) -> None:
        from ..vlm.tiny import dog_records, write_photo_folder

        write_photo_folder(tmp_path / "photos", dog_records(1))
        arguments = ("--data", tmp_path / "photos", "--split", "train", "--tasks", "refer")
        assert_one_line(command("evaluate", *arguments, "--out", tmp_path), str(tmp_path), "is a folder")
        assert engine.requests == []
        out = tmp_path / "reports" / "report.json"
        result = command("evaluate", *arguments, "--out", out)
        assert result.code == 0
        assert "accuracy_at_50_unique" in result.out
        assert json.loads(out.read_text())["model"] == "scripted"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full on this system")
def test_an_answer_that_cannot_be_written_is_one_line() -> None:
    program = [sys.executable, "-c", "from assistant.ui.cli import main; main()", "plan", "find the dog"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "Error: No space left on device\n")


def test_a_file_whose_name_starts_with_a_dash_gets_the_remedy(
    command: Command, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashed = photo.rename(photo.with_name("-photo.png"))
    monkeypatch.chdir(dashed.parent)
    result = command("ask", dashed.name, "where is the dog?")
    assert (result.code, result.err) == (
        2,
        "Error: the file -photo.png reads as an option: write ./-photo.png, or ./* for a pattern\n",
    )
    for name in (("./-photo.png", "where is the dog?"), ("--", "-photo.png", "where is the dog?")):
        assert command("ask", *name).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are closed otherwise there")
@pytest.mark.parametrize(
    ("closed", "words", "shown"),
    [
        ("<&-", "ask - what?", "Error: the image: the file is empty"),
        (">&-", "sessions search dog", "Nothing found."),
        ("2>&-", "sessions search dog", ""),
    ],
)
@pytest.mark.usefixtures("command")  # for its database
def test_a_closed_stream_is_no_traceback(closed: str, words: str, shown: str) -> None:
    program = f'"$0" -c "from assistant.ui.cli import main; main()" {words} {closed}'
    done = subprocess.run(["sh", "-c", program, sys.executable], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(shown)

"""CONTRIBUTING's recipes work: a task, a dataset, a dialect and an export format are really added."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("__init__.py", "agent", "docs", "storage", "tests", "tools", "ui", "vlm")
Change = tuple[str, str]
"""A text of a file, and what is inserted before it."""


@dataclass(frozen=True)
class Extension:
    """What is added: a new file (by its text), changes to others, and a program that uses it."""

    heading: str
    new: dict[str, str]
    changed: dict[str, tuple[Change, ...]]
    program: str

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.new, *self.changed)


TASK = Extension(
    "A task",
    {},
    {
        "vlm/tasks.py": (
            ("    @property\n    def identifier", '    COUNT = "count"\n\n'),
            (
                "}\n\nNEEDS_ARGUMENT",
                '    Task.COUNT: TaskDefinition("Count", ("how many {argument}?",), 8, Argument.REQUIRED),\n',
            ),
        ),
        "vlm/vision_language_model.py": (
            (
                "    def chat(",
                """\
    def count(self, image: Source, things: str, region: Box | None = None) -> Answer:
        return Answer(self._ask(image, Request(Task.COUNT, things, region)).grounded.text)

""",
            ),
        ),
        "tools/tasks.py": (
            (
                "TOOLS: tuple",
                """\
class CountTool(VisionTool):
    task: ClassVar[Task] = Task.COUNT
    name: str = "count"
    description: str = "Count the things in a picture."
    args_schema: type[BaseModel] = DetectArguments

    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        return Findings(model.count(image, text, region).text)


""",
            ),
            ("    IdentifyTool,\n)", "    CountTool,\n"),
        ),
    },
    """
    import random
    from assistant.agent.plan import PastTurn, PlanContext
    from assistant.agent.planner import Planner
    from assistant.agent.tool_calls import TOOLS
    from assistant.agent.turn import run
    from assistant.tests.tools.fakes import SAMPLES, FakeEngine
    from assistant.tools import VisionToolkit
    from assistant.vlm.answers import Request
    from assistant.vlm.data.instructions import sample_from_record
    from assistant.vlm.data.records import ImageReference, Record, TaskTurn
    from assistant.vlm.engine.dialects.registry import dialect_named
    from assistant.vlm.pictures import open_picture
    from assistant.vlm.prompt_form import read_prompt_form
    from assistant.vlm.released.prompt_form import RELEASED
    from assistant.vlm.tasks import Task
    from assistant.vlm.vision_language_model import VisionLanguageModel

    photo = SAMPLES / "cat.jpg"
    model = VisionLanguageModel(FakeEngine({Task.COUNT: "two"}))
    assert model.count(photo, "eyes").text == "two"

    tools = {tool.name: tool for tool in VisionToolkit(model=model, folders=(SAMPLES,)).get_tools()}
    assert "two" in tools["count"].invoke({"image": "cat.jpg", "phrase": "eyes"})
    assert TOOLS[Task.COUNT] == ("count", "phrase")

    for turns in ((), (PastTurn("hello"),)):
        plan = Planner().plan("[count] eyes", PlanContext(turns))
        assert run(model, plan, open_picture(photo).image).answer == "Two."

    saved = RELEASED.model_dump(mode="json")
    for name in ("wordings", "training_wordings", "max_new_tokens"):
        del saved[name]["count"]  # a folder from before the task
    assert read_prompt_form(saved).words(Task.COUNT, "eyes") == "[count] how many eyes?"

    request = Request(Task.COUNT, "eyes")
    assert dialect_named("plain").ask(request, (400, 300)) == "how many eyes?"
    assert dialect_named("plain").max_tokens(request) > 0

    record = Record(ImageReference(str(photo)), (TaskTurn(Task.COUNT, "eyes", "two"),))
    assert sample_from_record(record, random.Random(0)).turn.user == "[count] how many eyes?"
    """,
)

DATA_SET = Extension(
    "A dataset",
    {
        "vlm/data/sources/titles.py": dedent(
            '''
            """Titles: `titles.json`, an array of `{"file", "title"}`."""

            from collections.abc import Iterator
            from dataclasses import dataclass
            from pathlib import Path

            from ...tasks import Task
            from ..records import ImageReference, Record, TaskTurn
            from .base import Published, Row, json_rows


            class Title(Published):
                file: str
                title: str


            @dataclass(frozen=True)
            class Titles:
                path: Path
                pictures: Path

                def files(self) -> list[Path]:
                    return [self.path / "titles.json"]

                def rows(self) -> Iterator[Row]:
                    return json_rows(self.files()[0], "")

                def records(self, content: object) -> Iterator[Record]:
                    row = Title.model_validate(content)
                    image = ImageReference(str(self.pictures / row.file))
                    yield Record(image, (TaskTurn(Task.CAPTION, "", row.title),))
            '''
        )
    },
    {
        "vlm/data/sources/__init__.py": (
            ("from .unnatural", "from .titles import Titles\n"),
            (
                '    "unnatural_instructions"',
                '    "titles": Layout(lambda it, images, _: Titles(it, images), "titles", "titles"),\n',
            ),
        ),
        "docs/data.md": (("| `textcaps` |", "| `titles` | `titles/titles.json` | `titles` |\n"),),
    },
    """
    import json
    from pathlib import Path
    from PIL import Image
    from assistant.vlm.data.configuration import MixtureConfig
    from assistant.vlm.data.mixture import open_mixture

    folder = Path("data/titles")
    folder.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(folder / "1.png")
    (folder / "titles.json").write_text(json.dumps([{"file": "1.png", "title": "Night"}]))

    config = MixtureConfig(ratios={"photos": 0, "titles": 1})
    (sample,) = open_mixture(Path("data"), "train", config, 1, 0)[0].samples
    assert sample.turn.answer == "Night"
    """,
)

DIALECT = Extension(
    "A dialect of a server",
    {
        "vlm/engine/dialects/percent.py": dedent(
            '''
            """Percent: boxes as `[x0, y0, x1, y1]` in hundredths."""

            import re

            from .base import Dialect, LabelledBox, checked_argument, plain, reading_of, to_box, within

            _BOX = re.compile(r"\\[(\\d+), (\\d+), (\\d+), (\\d+)\\]")


            def _ask(request, size):
                return f"{request.task}: {checked_argument(request)}"


            def _read(request, text, size):
                boxes = (to_box(tuple(map(float, it.groups())), (100, 100)) for it in _BOX.finditer(text))
                found = tuple(LabelledBox("", box) for box in boxes if box)
                return reading_of(request, plain(_BOX.sub("", text)), found)


            PERCENT = Dialect("percent", re.compile("percent-vl"), _ask, _read, within(1024))
            '''
        )
    },
    {
        "vlm/engine/dialects/registry.py": (
            ("from .plain", "from .percent import PERCENT\n"),
            ("        OURS,\n", "        PERCENT,\n"),
        )
    },
    """
    from assistant.vlm.answers import Request
    from assistant.vlm.engine.dialects.registry import dialect_of
    from assistant.vlm.engine.dialects.translation import to_grounded_text
    from assistant.vlm.grounding import Box
    from assistant.vlm.tasks import Task

    dialect = dialect_of("someone/percent-vl-7b")
    request = Request(Task.REFER, "the dog")
    assert dialect.ask(request, (400, 300)) == "refer: the dog"
    read = dialect.read(request, "[10, 20, 30, 40]", (400, 300))
    assert to_grounded_text(request, read).boxes == (Box(10, 20, 30, 40),)
    """,
)

EXPORT_FORMAT = Extension(
    "An export format",
    {
        "storage/spreadsheet.py": dedent(
            '''
            """Export a session's turns as comma-separated values."""

            import csv
            from io import StringIO


            def write(session, turns, images):
                text = StringIO()
                csv.writer(text).writerows((turn.user, turn.answer) for turn in turns)
                return text.getvalue()
            '''
        )
    },
    {
        "storage/exporting.py": (
            ("from .images", "from . import spreadsheet\n"),
            (
                "}\n\n\nclass Exporting",
                '    "csv": ExportFormat("Turns as CSV", "csv", spreadsheet.write),\n',
            ),
        ),
        "ui/commands/sessions.py": ((" or voc.", ", csv"),),
    },
    """
    from pathlib import Path
    from typer.testing import CliRunner
    from assistant.storage import NewTurn, SessionStore
    from assistant.ui.cli import app

    store = SessionStore.open(Path("sessions.db"))
    session = store.create_session().id
    store.append_turn(session, NewTurn("a dog, or a cat?", "A cat."))
    assert store.export(session, "csv") == b'"a dog, or a cat?",A cat.\\r\\n'
    store.close()

    run = lambda *words: CliRunner().invoke(app, ["sessions", "export", *words])
    done = run(session, "--format", "csv", "--out", "turns.csv", "--db", "sessions.db")
    assert done.exit_code == 0, done.output
    assert "A cat." in Path("turns.csv").read_text()
    assert "csv" in run("--help").output
    """,
)

EXTENSIONS = {"task": TASK, "dataset": DATA_SET, "dialect": DIALECT, "export format": EXPORT_FORMAT}


def lay(source: Path, target: Path, extension: Extension) -> None:
    """Lay a file or folder of the repository at `target`: changed parts as copies, the rest as links."""
    name = str(source.relative_to(ROOT))
    if name in extension.changed:
        text = source.read_text(encoding="utf-8")
        for before, inserted in extension.changed[name]:
            assert text.count(before) == 1, f"{name}: {before!r}"
            text = text.replace(before, inserted + before)
        target.write_text(text, encoding="utf-8")
    elif any(file.startswith(f"{name}/") for file in extension.files):
        target.mkdir()
        for part in source.iterdir():
            if part.name != "__pycache__":
                lay(part, target / part.name, extension)
    else:
        target.symlink_to(source)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=EXTENSIONS)
def test_one_of_each_is_added_with_the_files_that_contributing_names(
    extension: Extension, tmp_path: Path
) -> None:
    house, work = tmp_path / "assistant", tmp_path / "work"
    house.mkdir()
    work.mkdir()
    for room in ROOMS:
        lay(ROOT / room, house / room, extension)
    for file, text in extension.new.items():
        (house / file).write_text(text, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    program = [sys.executable, "-c", dedent(extension.program)]
    done = subprocess.run(program, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=EXTENSIONS)
def test_contributing_names_at_most_three_files(extension: Extension) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {extension.heading}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    named = re.findall(r"^\d+\. `([^`]+)`", section[1], re.MULTILINE)
    new = [re.sub(r"\w+\.py$", "NAME.py", file) for file in extension.new]
    assert sorted(named) == sorted([*new, *extension.changed])
    assert len(named) <= 3

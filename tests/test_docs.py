"""What the documents show exists: files that they link, commands and options that they name."""

from __future__ import annotations

import doctest
import inspect
import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import assistant
from assistant import agent, storage, tools
from assistant.ui.cli import app
from assistant.vlm.pictures import open_picture
from assistant.vlm.vision_language_model import VisionLanguageModel

from .test_house import BELOW, modules
from .tools.fakes import SAMPLES, FakeEngine

ROOT = Path(__file__).parents[1]
# The modules whose docstrings have examples.
EXEMPLARY = [
    ".".join(("assistant", *path.relative_to(ROOT).with_suffix("").parts))
    for room in BELOW
    for path in modules(room)
    if "    >>> " in path.read_text(encoding="utf-8")
]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"))
)


def commands(document: Path) -> list[str]:
    """Return the lines of a document's code blocks that call the program."""
    text = (ROOT / document).read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language in ("", "bash")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line[line.index("assistant ") :] for line in lines if re.match(r"(.*\| )?assistant ", line)]


COMMANDS = [line for document in DOCUMENTS for line in commands(document)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_linked_file_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / document).read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (ROOT / document.parent / link).exists()] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_takes_its_options(line: str) -> None:
    words = shlex.split(line.partition(" -- ")[0], comments=True)[1:]  # the rest is another program's
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert [word for word in words if word.startswith("--") and word not in known] == []


def test_a_link_out_of_the_folder_is_plain_text_on_the_site() -> None:
    on_page_markdown = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["on_page_markdown"]
    page = "[one](../vlm/tasks.py), [two](data.md) and [three](https://example.org)"
    assert on_page_markdown(page) == "one, [two](data.md) and [three](https://example.org)"


def test_commands_are_found_in_the_documents() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("name", EXEMPLARY)
def test_the_examples_of_docstrings_print_what_they_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    globs = {name: getattr(assistant, name) for name in ("Box", "GroundedPhrase", "Task")}
    globs |= {"model": VisionLanguageModel(FakeEngine()), "image": open_picture("cat.jpg").image}
    outcome = doctest.testmod(import_module(name), extraglobs=globs)
    assert outcome.attempted
    assert outcome.failed == 0


def public() -> dict[str, object]:
    """Return the public names but for errors and aliases of types, and the methods that ask the model."""
    packages = (assistant, agent, storage, tools)
    named = {name: getattr(package, name) for package in packages for name in package.__all__}
    asks = ("caption", "vqa", "refer", "detect", "ground", "identify", "chat", "generate")
    named |= {name: getattr(VisionLanguageModel, name) for name in asks}
    plain = {"Feedback", "VisionLanguageModel"}
    return {
        name: value
        for name, value in named.items()
        if name not in plain and not name.startswith("MiniGPT") and not name.endswith("Error")
    }


@pytest.mark.parametrize("name", public())
def test_what_is_public_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(public()[name]) or "")

"""What the documents show exists: files that they link, commands and options that they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from assistant.ui.cli import app

ROOT = Path(__file__).parents[1]
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
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert [word for word in words if word.startswith("--") and word not in known] == []


def test_commands_are_found_in_the_documents() -> None:
    assert len(COMMANDS) > 20

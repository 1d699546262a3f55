"""Output in encodings other than UTF-8: `?` for missing characters, escapes in JSON, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def run(encoding: str, code: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", b"caf? ? ?"), ("latin-1", b"caf\xe9 ? ?"), ("cp1252", b"caf\xe9 ? \x85")],
)
def test_what_an_encoding_lacks_is_a_question_mark(encoding: str, expected: bytes) -> None:
    code = (
        "from assistant.ui.commands import output\n"
        "output.replace_unencodable()\n"
        "output.say('caf\\u00e9 \\u72d7 \\u2026')"
    )
    assert run(encoding, code).stdout.strip() == expected


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_error_is_one_line_in_any_encoding(encoding: str) -> None:
    code = (
        "import sys\n"
        "from assistant.ui.cli import main\n"
        "sys.argv = ['assistant', 'ask', '\\u72d7.jpg', 'what is this?']\n"
        "main()"
    )
    result = run(encoding, code)
    assert result.returncode == 1
    assert result.stderr.strip() == b"Error: ?.jpg: there is no such file; check the path and the spelling"


def test_commands_to_the_terminal_are_left_out() -> None:
    code = "from assistant.ui.commands.output import say; say('a\\x1b[2Jb\\x9bc\\rd\\te\\nf')"
    assert run("utf-8", code).stdout.decode().splitlines() == ["a[2Jbcd\te", "f"]


def test_json_loses_nothing() -> None:
    code = "from assistant.ui.commands.output import say_json; say_json({'said': 'caf\\u00e9 \\U0001f436'})"
    printed = run("ascii", code).stdout.decode("ascii")
    assert json.loads(printed) == {"said": "café 🐶"}
    assert run("utf-8", code).stdout.decode() == '{"said": "café 🐶"}' + os.linesep

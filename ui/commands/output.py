"""Print answers on stdout and everything else on stderr, in any encoding."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ...vlm.atomic import write_bytes
from ...vlm.errors import AssistantError

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C stopped."""

# Control characters, such as escape, which terminals would obey; names, titles and answers may contain them.
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def say(text: str) -> None:
    """Print text on stdout; unlike `typer.echo`, in the stream's own encoding, even if that is ASCII."""
    print(text.translate(_CONTROL), flush=True)


def note(text: str = "") -> None:
    """Print text on stderr."""
    print(text.translate(_CONTROL), file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    say_json_text(json.dumps(value, ensure_ascii=False))


def say_json_text(text: str) -> None:
    """Print JSON, with JSON escapes for characters that stdout cannot encode."""
    say(encodable(text))


def encodable(text: str) -> str:
    """Return JSON that stdout can encode, with escapes where needed."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)
    return text


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; a full disk or Ctrl-C leaves an earlier file as it was.

    Raises:
        AssistantError: it cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise AssistantError(f"cannot write {path}: {error.strerror}") from error


def replace_closed_streams() -> None:
    """Open the null device for each of stdin, stdout and stderr that the caller closed, as `>&-` does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (for the life of the process)


def replace_unencodable() -> None:
    """Make stdout and stderr print `?` for characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

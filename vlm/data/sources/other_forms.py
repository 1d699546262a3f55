"""Recognise the formats of other tools and say how to convert them to records written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import ijson

from ...errors import DataError

_SEE = "see docs/own-data.md"
# No tool nests deeper.
_DEEPEST = 100


class _Form(NamedTuple):
    name: str
    keys: frozenset[str]
    remedy: str


def _form(name: str, keys: str, remedy: str) -> _Form:
    return _Form(name, frozenset(keys.split()), f"{remedy}; {_SEE}")


_FORMS = (
    _form(
        "LLaVA's format",
        "conversations",
        'write "conversation": [{"ask": ..., "answer": ...}] and leave <image> out',
    ),
    _form(
        "the format of Qwen and OpenAI",
        "messages",
        'write "image": ... and "conversation": [{"ask": ..., "answer": ...}]',
    ),
    _form(
        "COCO's format",
        "images annotations",
        "write a line for each image, with boxes as [x, y, x + width, y + height]",
    ),
    _form(
        "a COCO annotation",
        "image_id bbox",
        'write the file name as "image" and the box as [x, y, x + width, y + height]',
    ),
    _form("PaliGemma's format", "prefix suffix", 'write "ask" for "prefix", and "answer" for "suffix"'),
    _form("the format of Hugging Face's image folders", "file_name", 'write "image" for "file_name"'),
    _form("Labelme's format", "shapes imagePath", "write a line for each image, with its boxes"),
    _form("a table of questions", "question", 'write "ask" for "question"'),
)


def refuse_other_form(keys: Iterable[str]) -> None:
    """Refuse an object with the keys of another tool's format.

    Raises:
        ValueError: it has; the message names the tool and says what to write instead.
    """
    form = _form_of(set(keys))
    if form is not None:
        raise ValueError(f"this is {form.name}: {form.remedy}")


def refuse_whole_json(path: Path) -> None:
    """Refuse a file that is one JSON value rather than one object per line.

    Raises:
        DataError: it is an array, an object over several lines, or UTF-16; the message says what to do.
    """
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    if head.startswith(b"["):
        form = _form_of(_keys(path, 1))
        detail = f" in {form.name}: write one object per line; {form.remedy}" if form else _one_per_line(path)
        raise DataError(f"{path}:1: this is a JSON array{detail}")
    if head.startswith(b"{") and not head.partition(b"\n")[0].rstrip().endswith(b"}") and b"\n" in head:
        form = _form_of(_keys(path, 0))
        if form is not None:
            raise DataError(f"{path}:1: this is {form.name}: {form.remedy}")


def _one_per_line(path: Path) -> str:
    return f": write one object per line, as `jq -c '.[]' {path.name}` does; {_SEE}"


def _form_of(keys: set[str]) -> _Form | None:
    return next((form for form in _FORMS if form.keys <= keys), None)


def _keys(path: Path, depth: int) -> set[str]:
    """Return the keys of the first object inside `depth` arrays of a JSON file, as far as it is valid."""
    keys: set[str] = set()
    open_values = 0
    with path.open("rb") as file, suppress(ijson.JSONError):
        # Not `ijson.parse`: it keeps the path to each value, gigabytes for deeply nested arrays.
        for event, value in ijson.basic_parse(file, use_float=True):
            if event in ("start_map", "start_array"):
                open_values += 1
            elif event in ("end_map", "end_array"):
                open_values -= 1
                if open_values <= depth:
                    break
            elif event == "map_key" and open_values == depth + 1:
                keys.add(value)
            if open_values > _DEEPEST:
                break
    return keys


__all__ = ["refuse_other_form", "refuse_whole_json"]

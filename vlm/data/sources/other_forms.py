"""Files in other tools' forms where records written by hand are wanted: named, with what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import ijson

from ...errors import DataError

_SEE = "docs/own-data.md shows how"


class _Form(NamedTuple):
    name: str
    keys: frozenset[str]
    remedy: str


def _form(name: str, keys: str, remedy: str) -> _Form:
    return _Form(name, frozenset(keys.split()), f"{remedy}; {_SEE}")


_FORMS = (
    _form(
        "LLaVA's form",
        "conversations",
        'write "conversation": [{"ask": ..., "answer": ...}] and leave <image> out',
    ),
    _form(
        "the form of Qwen and OpenAI",
        "messages",
        'write "image": ... and "conversation": [{"ask": ..., "answer": ...}]',
    ),
    _form(
        "COCO's form",
        "images annotations",
        "write a line for each picture, boxes as [x, y, x + width, y + height]",
    ),
    _form(
        "an annotation of COCO",
        "image_id bbox",
        'name the picture in "image", and write the box as [x, y, x + width, y + height]',
    ),
    _form("PaliGemma's form", "prefix suffix", 'write "ask" for "prefix", and "answer" for "suffix"'),
    _form("the form of Hugging Face's image folders", "file_name", 'write "image" for "file_name"'),
    _form("Labelme's form", "shapes imagePath", "write a line for each picture, with its boxes"),
    _form("a table of questions", "question", 'write "ask" for "question"'),
)


def refuse_other_form(keys: Iterable[str]) -> None:
    """Refuse an object whose keys are those of another tool's.

    Raises:
        ValueError: they are; the tool is named, with what to write instead.
    """
    form = _form_of(set(keys))
    if form is not None:
        raise ValueError(f"this is {form.name}: {form.remedy}")


def refuse_whole_json(path: Path) -> None:
    """Refuse a file that is one JSON value over all of its lines, and not an object a line.

    Raises:
        DataError: it is an array, an object over several lines, or no UTF-8; what to do is said.
    """
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    if head.startswith(b"["):
        form = _form_of(_keys(path, "item"))
        said = f" in {form.name}: one object a line is wanted; {form.remedy}" if form else _one_a_line(path)
        raise DataError(f"{path}:1: this is a JSON array{said}")
    if head.startswith(b"{") and not head.partition(b"\n")[0].rstrip().endswith(b"}") and b"\n" in head:
        form = _form_of(_keys(path, ""))
        if form is not None:
            raise DataError(f"{path}:1: this is {form.name}: {form.remedy}")


def _one_a_line(path: Path) -> str:
    return f": write one object a line, as `jq -c '.[]' {path.name}` does; {_SEE}"


def _form_of(keys: set[str]) -> _Form | None:
    return next((form for form in _FORMS if form.keys <= keys), None)


def _keys(path: Path, place: str) -> set[str]:
    """Return the keys of the object at a place of a JSON file, as far as it can be read."""
    keys: set[str] = set()
    with path.open("rb") as file:
        try:
            for prefix, event, value in ijson.parse(file, use_float=True):
                if (prefix, event) == (place, "map_key"):
                    keys.add(value)
                elif (prefix, event) == (place, "end_map"):
                    break
        except ijson.JSONError:
            pass
    return keys


__all__ = ["refuse_other_form", "refuse_whole_json"]

"""Recognise the formats of other tools and say how to convert them to records written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import ijson

from ...errors import DataError
from .base import DEEPEST

_SEE = "see docs/own-data.md"


class _Form(NamedTuple):
    name: str
    keys: frozenset[str]
    remedy: str


def _form(name: str, keys: str, remedy: str) -> _Form:
    return _Form(name, frozenset(keys.split()), f"{remedy}; {_SEE}")


_PER_IMAGE = "write a line for each image, with boxes as [x0, y0, x1, y1] in pixels"


def _renamed(ask: str, answer: str) -> str:
    return f'write "ask" for "{ask}", and "answer" for "{answer}"'


_FORMS = (
    _form(
        "the format of LLaVA and ShareGPT",
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
    _form("the VGG Image Annotator's project", "_via_img_metadata", _PER_IMAGE),
    _form("the VGG Image Annotator's format", "filename regions", _PER_IMAGE),
    _form("Label Studio's format", "annotations data", f"{_PER_IMAGE}, not in percent"),
    _form("Label Studio's short format", "annotation_id lead_time", f"{_PER_IMAGE}, not in percent"),
    _form(
        "CreateML's format",
        "image annotations",
        "write boxes as [x - width/2, y - height/2, x + width/2, y + height/2]",
    ),
    _form("Supervisely's format", "objects size", _PER_IMAGE),
    _form("a COCO caption", "image_id caption", 'write the file name as "image", and "answer" for "caption"'),
    _form("Alpaca's format", "instruction output", _renamed("instruction", "output")),
    _form("a format of prompts", "prompt completion", _renamed("prompt", "completion")),
    _form("a format of prompts", "prompt response", _renamed("prompt", "response")),
    _form("a format of preferences", "prompt chosen", _renamed("prompt", "chosen")),
    _form("Swift's format", "query response", _renamed("query", "response")),
    _form("Gemini's format", "contents", 'write "conversation": [{"ask": ..., "answer": ...}]'),
    _form("The Cauldron's format", "texts", 'write "conversation": [{"ask": ..., "answer": ...}]'),
    _form("a table of questions", "question", 'write "ask" for "question"'),
    _form("a table of captions", "image caption", 'write "task": "caption", and "answer" for "caption"'),
    _form("a table of captions", "image text", 'write "task": "caption", and "answer" for "text"'),
    _form("another tool's file of annotations", "annotations", _PER_IMAGE),
)

# Files that are not JSON, by their first bytes.
_YOLO = re.compile(rb"\d+(?:[ \t]+-?\d*\.?\d+(?:e-?\d+)?){4,}\s*?(?:\n|\Z)")
_YAML = re.compile(rb"(?:#.*\n|\s)*\w+:(?:\s|\Z)")


def refuse_other_form(content: Mapping[str, Any]) -> None:
    """Refuse an object with the keys of another tool's format, or whose values are such objects.

    Raises:
        ValueError: it is one; the message names the tool and says what to write instead.
    """
    form = _form_of(set(content))
    if form is None and content and all(isinstance(value, dict) for value in content.values()):
        form = _form_of(set(next(iter(content.values()))))
    if form is not None:
        raise ValueError(f"this is {form.name}: {form.remedy}")


def refuse_other_file(path: Path) -> None:
    """Refuse a file that does not hold one JSON object per line.

    Raises:
        DataError: it is an array, an object over several lines, or not JSON; the message says what to do.
    """
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    if head.startswith(b"["):
        form = _form_of(_keys(path, 1))
        detail = f" in {form.name}: write one object per line; {form.remedy}" if form else _one_per_line(path)
        raise DataError(f"{path}:1: this is a JSON array{detail}")
    if head.startswith(b"{"):
        _refuse_long_object(path, head.partition(b"\n"))
    elif (kind := _kind_of(head)) is not None:
        raise DataError(f"{path}: this is {kind}; write one JSON object per line, {_SEE}")


def _refuse_long_object(path: Path, head: tuple[bytes, bytes, bytes]) -> None:
    """Refuse an object that goes on in the next line."""
    first, end, _ = head
    if not end or first.rstrip().endswith(b"}"):
        return
    form = _form_of(_keys(path, 0)) or _form_of(_keys(path, 1))
    if form is not None:
        raise DataError(f"{path}:1: this is {form.name}: {form.remedy}")
    if first.strip() == b"{":
        raise DataError(f"{path}:1: write each object on one line, as `jq -c . {path.name}` does; {_SEE}")


def _kind_of(head: bytes) -> str | None:
    """Return what a file is that does not begin with JSON, None if it may have lines of JSON further on."""
    if b"\0" in head:
        return "a binary file, not text"
    if head.startswith(b"<"):
        return "XML, as of Pascal VOC or CVAT"
    if _YOLO.match(head):
        return "a file of YOLO's labels, whose boxes are centre, width and height in fractions"
    if b"{" in head:
        return None
    if _YAML.match(head):
        return "YAML"
    counts = [line.count(b",") + line.count(b"\t") for line in head.splitlines()[:2]]
    return "a table (CSV)" if len(counts) > 1 and min(counts) > 0 else None


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
            if open_values > DEEPEST:
                break
    return keys

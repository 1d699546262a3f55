"""Boxes in JSON, as most chat models write them: alone, in a fence, in the middle of prose, or truncated.

JSON parsers reject much of what models write, so a scan looks for strings, keys, objects and lists of four
numbers. It accepts any text, in linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...answers import Request
from ...grounding import BINS, Box
from ...tasks import BOX_TASKS, Task
from .base import (
    LabelledBox,
    Reading,
    Size,
    checked_argument,
    plain,
    plain_prompt,
    reading_of,
    to_box,
    without_thoughts,
)

_NUMBER = r"\s{0,16}\"?(-?\d{1,6}(?:\.\d{1,12})?)\"?\s{0,16}"
_FOUR = ",".join([_NUMBER] * 4)
_SIDE = r"\s{0,16}\"([xy]_?(?:min|max|[012])|left|top|right|bottom)\"\s{0,8}:" + _NUMBER
_TOKEN = re.compile(
    rf"(?P<quad>[\[(]{_FOUR},?\s{{0,16}}[\])])"
    rf"|(?P<corners>\({_NUMBER},{_NUMBER}\)\s{{0,4}},?\s{{0,4}}\({_NUMBER},{_NUMBER}\))"
    rf"|(?P<sides>{','.join([_SIDE] * 4)})"
    r"|(?P<string>\"(?P<inner>(?:[^\"\\]|\\.)*+)(?:\"|\Z)(?P<colon>\s{0,8}:)?)"
    r"|(?P<open>\{)"
    r"|(?P<close>\})",
    re.DOTALL | re.IGNORECASE,
)
_NAMED_GROUPS = frozenset(_TOKEN.groupindex.values())
_BOXES = ("quad", "corners", "sides")
_LABELS = frozenset(("label", "phrase", "name", "object", "class", "category", "text_content", "text"))
_PROSE = frozenset(("description", "caption", "answer"))
# Keys that say nothing about a box's content; any other key before a box is its label.
_NEUTRAL_KEYS = frozenset(
    ("bbox_2d", "box_2d", "bbox", "box", "bboxes", "boxes", "bounding_box", "boundingbox", "coordinates")
) | frozenset(("objects", "detections", "items", "result", "results", "location", "box_2ds", "bbox_2ds"))


@dataclass(frozen=True)
class Form:
    """How a family writes boxes: their key, their scale, and which axis comes first.

    `coordinates` explains the numbers to the model; `scale` is the coordinate of the image's far corner, None
    for pixels of the image as it is sent. `ask` and `read` are those of a `Dialect`, and `schema` may be.
    """

    key: str
    coordinates: str
    scale: float | None = 1000.0
    y_first: bool = False

    def ask(self, request: Request, size: Size) -> str:
        """Return the prompt for a request."""
        argument = checked_argument(request)
        corners = "[y0, x0, y1, x1]" if self.y_first else "[x0, y0, x1, y1]"
        item = f'{{"{self.key}": {corners}, "label": "…"}}'
        match request.task:
            case Task.REFER:
                return (
                    f"Locate {argument}. Answer with JSON alone: [{item}] with exactly one box, "
                    f"{self.coordinates}; [] if it is not in the image."
                )
            case Task.DETECTION:
                return (
                    f"Locate every instance of: {argument}. Answer with JSON alone: a list of {item}, "
                    f"{self.coordinates}, each labelled by what was asked for; [] if there is none in the "
                    "image."
                )
            case Task.GROUNDING:
                return (
                    f"{argument or 'Describe the image in detail.'} Answer with JSON alone: "
                    f'{{"description": "…", "objects": [{item}, …]}}, where each label is a phrase that '
                    f"stands word for word in the description, and each box is {self.coordinates}."
                )
            case _:
                return plain_prompt(request, self._written(request.region, size) if request.region else "")

    def _written(self, box: Box, size: Size) -> str:
        scales = (self.scale, self.scale) if self.scale else size
        x0, y0, x1, y1 = (round(value * scales[index % 2] / BINS) for index, value in enumerate(box.bins))
        return f"[{y0}, {x0}, {y1}, {x1}]" if self.y_first else f"[{x0}, {y0}, {x1}, {y1}]"

    def read(self, request: Request, text: str, size: Size) -> Reading:
        """Parse an answer; a text without boxes is all words."""
        text = without_thoughts(text)
        if request.task not in BOX_TASKS:
            return Reading(plain(text))
        scan = _Scan(self, size)
        scan.take(text)
        if not scan.found and '"' in text:  # a stray quote in prose may have hidden what comes after it
            scan.take(text.replace('"', " "))
        found = tuple(scan.found)
        if request.task is Task.GROUNDING:
            prose = scan.prose or ("" if found or "{" in text else plain(text))
            return Reading(plain(prose), found)
        if not found and _is_empty(text):
            return reading_of(request, "none", ())
        return reading_of(request, "" if found else plain(text), found)

    def schema(self, request: Request) -> dict[str, Any] | None:
        """Return the JSON schema of an answer with boxes; None for other tasks."""
        number = {"type": "integer" if self.scale else "number"}
        corners = {"type": "array", "items": number, "minItems": 4, "maxItems": 4}
        item = _object({"label": {"type": "string"}, self.key: corners})
        # Servers that enforce a schema accept no list at its top.
        objects: dict[str, Any] = {"objects": {"type": "array", "items": item}}
        if request.task is Task.GROUNDING:
            return _object({"description": {"type": "string"}, **objects})
        return _object(objects) if request.task in (Task.REFER, Task.DETECTION) else None


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _is_empty(text: str) -> bool:
    """Return whether the text is complete JSON without a number in it."""
    bare = plain(text)
    if bare[:1] not in ("[", "{"):
        return False
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return not re.search(r"\d", bare)


@dataclass
class _OpenObject:
    """A JSON object that is still open: its label, and the indices of its boxes among all found."""

    label: str = ""
    boxes: list[int] = field(default_factory=list)


class _Scan:
    """The state of a scan: the open objects, the last key, and the boxes found."""

    def __init__(self, form: Form, size: Size) -> None:
        self.found: list[LabelledBox] = []
        self.prose = ""
        self._form = form
        self._size = size
        self._open = [_OpenObject()]
        self._key = ""

    def take(self, text: str) -> None:
        if '"' not in text:  # JSON as Python prints it
            text = text.replace("'", '"')
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup
            if kind == "open":
                self._open.append(_OpenObject())
            elif kind == "close":
                self._close()
            elif kind in _BOXES:
                self._box(match)
            else:
                self._string(match)
        while len(self._open) > 1:  # cut off
            self._close()
        self._label(self._open[0])

    def _close(self) -> None:
        if len(self._open) > 1:
            self._label(self._open.pop())
        self._key = ""

    def _label(self, thing: _OpenObject) -> None:
        for index in thing.boxes:
            found = self.found[index]
            self.found[index] = LabelledBox(found.label or thing.label, found.box, found.start, found.end)

    def _string(self, match: re.Match[str]) -> None:
        value = _unescaped(match["inner"])
        key = self._key.lower()
        if match["colon"]:
            self._key = value.strip()
        elif key in _LABELS:
            self._open[-1].label = plain(value)
        elif key in _PROSE and not self.prose:
            self.prose = value

    def _box(self, match: re.Match[str]) -> None:
        key = self._key.lower()
        corners = _corners(match)
        if match.lastgroup == "quad":
            # On any server, Google's models write box_2d with y first, and Alibaba's bbox_2d with x first.
            y_first = {"box_2d": True, "bbox_2d": False}.get(key, self._form.y_first)
            if y_first:
                corners = corners[1], corners[0], corners[3], corners[2]
        box = to_box(corners, self._scale(corners))
        if box is None:
            return
        names_label = match.lastgroup == "quad" and key not in _NEUTRAL_KEYS | _LABELS | _PROSE
        self._open[-1].boxes.append(len(self.found))
        self.found.append(
            LabelledBox(plain(self._key) if names_label else "", box, match.start(), match.end())
        )

    def _scale(self, corners: Sequence[float]) -> tuple[float, float]:
        if max(corners) <= 1.0 and any(value % 1 for value in corners):
            return 1.0, 1.0  # fractions, whatever the prompt asked for
        if self._form.scale is None:
            return float(self._size[0]), float(self._size[1])
        return self._form.scale, self._form.scale


def _corners(match: re.Match[str]) -> tuple[float, float, float, float]:
    """Return the four numbers, ordered by their names if they have any; zeros if the names make no box."""
    groups = [group for number, group in enumerate(match.groups(), 1) if number not in _NAMED_GROUPS]
    values = [group for group in groups if group is not None]
    if match.lastgroup != "sides":
        a, b, c, d = map(float, values)
        return a, b, c, d
    across: list[float] = []
    down: list[float] = []
    for name, value in zip(values[::2], values[1::2], strict=True):
        (across if name[0].lower() in "xlr" else down).append(float(value))
    if len(across) != 2:
        return 0.0, 0.0, 0.0, 0.0
    return across[0], down[0], across[1], down[1]


def _unescaped(inner: str) -> str:
    """Return the content of a string, which may be cut off or invalid JSON."""
    try:
        value = str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        value = inner.replace('\\"', '"')
    # A lone surrogate has no UTF-8 form, and no database takes it.
    return value.encode(errors="replace").decode()

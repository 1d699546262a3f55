"""Records that a person writes by hand, one JSON object a line; docs/own-data.md describes the form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from ...errors import ImageError
from ...grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ...pictures import measure
from ...tasks import ABSENT_ANSWER, Task
from ..broken import PictureError
from ..records import PictureReference, Record, TaskTurn
from .base import LinesFile, parse_line

Size: TypeAlias = tuple[int, int]

# What a task's instruction has no place for.
_UNASKED = {Task.CAPTION: ("ask", "region"), Task.GROUNDING: ("region",), Task.IDENTIFY: ("ask",)}


class OwnTurn(BaseModel):
    """One exchange; `region` and the boxes of `answer` and `boxes` are in pixels of the upright picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: Task | None = None
    ask: str = ""
    region: Any = None
    answer: Any
    boxes: Any = None


class OwnRow(BaseModel):
    """One line with a conversation of several turns; a line with one turn holds its fields instead."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: str | None = None
    conversation: tuple[OwnTurn, ...]


class OwnRecords(LinesFile):
    """A `.jsonl` file; pictures are named relative to the folder that it lies in."""

    def records(self, content: bytes) -> Iterator[Record]:
        """Return the conversation of a line."""
        if not content.strip():
            return
        row = _row(parse_line(content))
        place = None if row.image is None else self.path.parent / row.image
        size = None if place is None else _size(place)
        picture = None if place is None else PictureReference(str(place))
        yield Record(picture, tuple(_turn(turn, size) for turn in row.conversation))


def _row(content: Any) -> OwnRow:
    if not isinstance(content, dict):
        raise ValueError('a line is one object: {"image": ..., "ask": ..., "answer": ...}')
    if "conversation" in content:
        return OwnRow.model_validate(content)
    turn = OwnTurn.model_validate({name: value for name, value in content.items() if name != "image"})
    return OwnRow.model_validate({"image": content.get("image"), "conversation": (turn,)})


def _size(path: Path) -> Size:
    try:
        _, _, width, height = measure(path)
    except ImageError as error:
        raise PictureError(f"image: {error}", path) from error
    return width, height


def _turn(turn: OwnTurn, size: Size | None) -> TaskTurn:
    if turn.task is not None:
        for name in _UNASKED.get(turn.task, ()):
            if getattr(turn, name):
                raise ValueError(f"{name}: {turn.task.identifier} has no place for it; leave it out")
    if turn.boxes is not None and turn.task is not Task.GROUNDING:
        raise ValueError("boxes: only the phrases of a [grounding] answer have boxes beside it")
    region = None if turn.region is None else _box(turn.region, size, "region")
    ask, answer = turn.ask, turn.answer
    if turn.task in (Task.REFER, Task.DETECTION) and answer == ABSENT_ANSWER:
        return TaskTurn(turn.task, ask, ABSENT_ANSWER, region)
    if turn.task is Task.REFER:
        found = _boxes(answer, size, "answer")
        if len(found) != 1:
            raise ValueError("answer: [refer] means one thing: [[x0, y0, x1, y1]]")
        return TaskTurn(turn.task, ask, format_box(found[0]), region)
    if turn.task is Task.DETECTION:
        named = answer if isinstance(answer, dict) else {ask: answer}
        phrases = [GroundedPhrase(text, _boxes(boxes, size, "answer")) for text, boxes in named.items()]
        return TaskTurn(turn.task, ask or ", ".join(named), format_detection(phrases), region)
    if not isinstance(answer, str):
        raise ValueError(
            f"answer: {'this' if turn.task is None else turn.task.identifier} is answered by text"
        )
    if turn.task is Task.GROUNDING:
        answer = format_grounded(_grounded(answer, turn.boxes, size))
    return TaskTurn(turn.task, ask, answer, region)


def _grounded(text: str, boxes: Any, size: Size | None) -> GroundedText:
    if not isinstance(boxes, Mapping) or not boxes:
        raise ValueError('boxes: name the phrases of the answer: {"a red mug": [[x0, y0, x1, y1]]}')
    phrases = []
    for phrase, found in boxes.items():
        if phrase not in text:
            raise ValueError(f"boxes: the answer does not say {phrase!r}")
        phrases.append(GroundedPhrase(phrase, _boxes(found, size, "boxes"), text.index(phrase)))
    return GroundedText(text, tuple(sorted(phrases, key=lambda item: item.start)))


def _boxes(value: Any, size: Size | None, field: str) -> tuple[Box, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{field}: a list of boxes is wanted: [[x0, y0, x1, y1], ...]")
    return tuple(_box(corners, size, field) for corners in value)


def _box(value: Any, size: Size | None, field: str) -> Box:
    if size is None:
        raise ValueError(f"{field}: there is a box but no picture")
    if not isinstance(value, list) or len(value) != 4 or not all(_is_number(item) for item in value):
        raise ValueError(f"{field}: {value} is no box: four numbers of pixels are wanted, [x0, y0, x1, y1]")
    x0, y0, x1, y1 = value
    width, height = size
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"{field}: {value} is no box within the picture of {width} x {height} pixels")
    return Box.from_pixels(x0, y0, x1, y1, width, height)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = ["OwnRecords"]

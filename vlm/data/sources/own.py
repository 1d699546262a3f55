"""Records that a person writes by hand, one JSON object a line; docs/own-data.md describes the form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...errors import ImageError
from ...grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ...pictures import open_picture
from ...regions import pixel_box, window
from ...tasks import ABSENT_ANSWER, Task
from ..records import ImageReference, Record, TaskTurn
from ..skipped_rows import RowImageError
from .base import LinesFile, Row, parse_line, require
from .other_forms import refuse_other_form, refuse_whole_json

# Those whose instruction has no place for words.
_UNASKED = (Task.CAPTION, Task.IDENTIFY)

# What prompts hold beside a person's words, in our form or in those of other tools.
_MARKER = re.compile(rf"\[(?:{'|'.join(Task)}|/?INST)\]|</?(?:image|img|imagehere)>|<\|\w+\|>", re.IGNORECASE)
# Latin, Greek or Cyrillic; many other scripts put no space between words.
_LETTER = r"[\d_A-Za-z\u00aa-\u052f]"


@dataclass(frozen=True)
class _Seen:
    """A picture of `width` x `height` pixels, and the part of it that is looked at."""

    width: int
    height: int
    part: Box | None = None

    def box(self, corners: Any) -> Box:
        """Return a box in pixels of the picture as one of what is looked at."""
        box = pixel_box(corners, self.width, self.height)
        if self.part is None:
            return box
        left, top, right, bottom = window(self, self.part)
        x0, y0, x1, y1 = corners
        if not (left <= (x0 + x1) / 2 <= right and top <= (y0 + y1) / 2 <= bottom):
            raise ValueError(f"{corners} lies outside of the region that is asked about")
        return Box.from_pixels(x0 - left, y0 - top, x1 - left, y1 - top, right - left, bottom - top)


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
    """A `.jsonl` file; pictures are named relative to the folder that it lies in, and decoded to be sure."""

    def rows(self) -> Iterator[Row]:
        """Yield the lines."""
        refuse_whole_json(require(self.path))
        return super().rows()

    def records(self, content: bytes) -> Iterator[Record]:
        """Return the conversation of a line."""
        if not content.strip():
            return
        row = _row(parse_line(content))
        place = None if row.image is None else self.path.parent / row.image
        seen = None if place is None else _Seen(*_size(place))
        part = _part(row.conversation, seen)
        if seen is not None:
            seen = replace(seen, part=part)
        picture = None if place is None else ImageReference(str(place), part=part)
        yield Record(picture, tuple(_turn(turn, seen) for turn in row.conversation))


def is_own(path: Path) -> bool:
    """Return whether a path names such a file, be it there or not, and not a folder of photos."""
    return path.suffix == ".jsonl" or path.is_file()


def count_images(path: Path) -> int:
    """Return how many pictures the lines of a file are about, a line without one counting as one.

    What cannot be read is passed over: it is told of when the records are read.
    """
    pictures: set[object] = set()
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                with suppress(ValueError):
                    content = parse_line(line)
                    image = content.get("image") if isinstance(content, dict) else None
                    pictures.add(image if isinstance(image, str) else number)
    except OSError:
        pass
    return len(pictures)


def _row(content: Any) -> OwnRow:
    if not isinstance(content, dict):
        raise ValueError('a line is one object: {"image": ..., "ask": ..., "answer": ...}')
    refuse_other_form(content)
    if "conversation" in content:
        return OwnRow.model_validate(content)
    turn = OwnTurn.model_validate({name: value for name, value in content.items() if name != "image"})
    return OwnRow.model_validate({"image": content.get("image"), "conversation": (turn,)})


def _part(turns: Sequence[OwnTurn], seen: _Seen | None) -> Box | None:
    """Return the region that is looked at alone; `[identify]` has its region named instead."""
    regions = [it.region for it in turns if it.region is not None and it.task is not Task.IDENTIFY]
    if not regions:
        return None
    if len(turns) > 1:
        raise ValueError("region: in a conversation only [identify] has one; write a line of its own")
    return _box(regions[0], seen, "region")


def _size(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:  # it is told what is wrong when the picture is opened
        return _decoded_size(path, 0, 0)
    return _decoded_size(path, state.st_size, state.st_mtime_ns)


@cache
def _decoded_size(path: Path, _size_bytes: int, _changed: int) -> tuple[int, int]:
    """Return the size of a picture in pixels; many lines may be about the same one."""
    try:
        picture = open_picture(path)
    except ImageError as error:
        raise RowImageError(f"image: {error}", path) from error
    return picture.width, picture.height


def _turn(turn: OwnTurn, seen: _Seen | None) -> TaskTurn:
    if turn.task in _UNASKED and turn.ask:
        raise ValueError(f"ask: [{turn.task}] has no place for it; leave it out")
    if turn.boxes is not None and turn.task is not Task.GROUNDING:
        raise ValueError("boxes: only the phrases of a [grounding] answer have boxes beside it")
    if marker := _MARKER.search(turn.ask):
        raise ValueError(
            f'ask: leave {marker[0]} out: "task" says which task it is, and the photo is put in by itself'
        )
    named = turn.region is not None and turn.task is Task.IDENTIFY
    region = _box(turn.region, seen, "region") if named else None
    ask, answer = turn.ask, turn.answer
    if turn.task in (Task.REFER, Task.DETECTION) and answer == ABSENT_ANSWER:
        return TaskTurn(turn.task, ask, ABSENT_ANSWER)
    if turn.task is Task.REFER:
        found = _boxes(answer, seen, "answer")
        if len(found) != 1:
            raise ValueError("answer: [refer] means one thing: [[x0, y0, x1, y1]]")
        return TaskTurn(turn.task, ask, format_box(found[0]))
    if turn.task is Task.DETECTION:
        things = answer if isinstance(answer, dict) else {ask: answer}
        phrases = [GroundedPhrase(text, _boxes(boxes, seen, "answer")) for text, boxes in things.items()]
        return TaskTurn(turn.task, ask or ", ".join(things), format_detection(phrases))
    if not isinstance(answer, str):
        raise ValueError(
            f"answer: {'this' if turn.task is None else turn.task.identifier} is answered by text"
        )
    if turn.task is Task.GROUNDING:
        answer = format_grounded(_grounded(answer, turn.boxes, seen))
    return TaskTurn(turn.task, ask, answer, region)


def _grounded(text: str, boxes: Any, seen: _Seen | None) -> GroundedText:
    if not isinstance(boxes, Mapping) or not boxes:
        raise ValueError('boxes: name the phrases of the answer: {"a red mug": [[x0, y0, x1, y1]]}')
    placed: list[GroundedPhrase] = []
    for phrase in sorted(boxes, key=len, reverse=True):  # "mug" leaves its place to "a red mug"
        start = _place(phrase, text, placed)
        placed.append(GroundedPhrase(phrase, _boxes(boxes[phrase], seen, "boxes"), start))
    return GroundedText(text, tuple(sorted(placed, key=lambda item: item.start)))


def _place(phrase: str, text: str, placed: Sequence[GroundedPhrase]) -> int:
    """Return where a phrase stands in a text as whole words first, apart from the phrases placed before."""
    spelled = rf"(?<!{_LETTER})(?={re.escape(phrase)}(?!{_LETTER}))"
    starts = [match.start() for match in re.finditer(spelled, text)] if phrase.strip() else []
    if not starts:
        part = " but as a part of a word" if phrase.strip() and phrase in text else ""
        raise ValueError(f"boxes: the answer does not say {phrase!r}{part}")
    for start in starts:
        rivals = [it for it in placed if it.start < start + len(phrase) and start < it.end]
        if not rivals:
            return start
    raise ValueError(f"boxes: {phrase!r} overlaps {rivals[0].text!r} in the answer: box one of the two alone")


def _boxes(value: Any, seen: _Seen | None, field: str) -> tuple[Box, ...]:
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        raise ValueError(f"{field}: a list of boxes is wanted: [[x0, y0, x1, y1], ...]")
    return tuple(_box(corners, seen, field) for corners in value)


def _box(value: Any, seen: _Seen | None, field: str) -> Box:
    if seen is None:
        raise ValueError(f"{field}: there is a box but no picture")
    try:
        return seen.box(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


__all__ = ["OwnRecords", "count_images", "is_own"]

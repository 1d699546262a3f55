"""Records written by hand, one JSON object per line; docs/own-data.md describes the format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from ...errors import DataError, ImageError
from ...grounding import Box, GroundedPhrase, GroundedText, format_box, format_detection, format_grounded
from ...pictures import open_picture
from ...regions import crop_window, pixel_box
from ...tasks import ABSENT_ANSWER, TAKES_NO_ARGUMENT, Task
from ..records import ImageReference, Record, TaskTurn
from ..skipped_rows import RowImageError
from .base import LinesFile, Row, parse_line
from .other_forms import refuse_other_file, refuse_other_form

# Markers of prompts and answers, ours and those of other tools.
_MARKER = re.compile(
    rf"\[(?:{'|'.join(Task)}|/?INST)\]|</?(?:image|img|imagehere|p|s|delim|box|ref)>|<\|\w+\|>|\{{<\d+>",
    re.IGNORECASE,
)
# Latin, Greek or Cyrillic; many other scripts have no spaces between words.
_LETTER = r"[\d_A-Za-z\u00aa-\u052f]"


@dataclass(frozen=True)
class _View:
    """An image of `width` x `height` pixels, cropped to `part`."""

    width: int
    height: int
    part: Box | None = None

    def box(self, corners: Any) -> Box:
        """Map a box in pixels of the whole image to the part."""
        box = pixel_box(corners, self.width, self.height)
        if self.part is None:
            return box
        left, top, right, bottom = crop_window(self, self.part)
        x0, y0, x1, y1 = corners
        if not (left <= (x0 + x1) / 2 <= right and top <= (y0 + y1) / 2 <= bottom):
            raise ValueError(f"{corners} is outside the region of the question")
        return Box.from_pixels(x0 - left, y0 - top, x1 - left, y1 - top, right - left, bottom - top)


class _Written(BaseModel):
    """Base of what is written by hand: an unknown key is an error that lists the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        unknown = [key for key in value if key not in cls.model_fields] if isinstance(value, dict) else []
        if unknown:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"{unknown[0][:40]!r} is not among the keys here: {known}")
        return value


class OwnTurn(_Written):
    """One turn; `region` and the boxes of `answer` and `boxes` are in pixels of the upright image."""

    task: Task | None = None
    ask: str = ""
    region: Any = None
    answer: Any
    boxes: Any = None


class OwnRow(_Written):
    """One line with a conversation; a line with one turn has the turn's fields instead."""

    image: str | None = None
    conversation: tuple[OwnTurn, ...]


class OwnRecords(LinesFile):
    """A `.jsonl` file; image paths are relative to its folder, and every image is decoded as a check."""

    def rows(self) -> Iterator[Row]:
        """Yield the lines."""
        if not self.path.exists():
            raise DataError(f"there is no {self.path}: check the path")
        refuse_other_file(self.path)
        return super().rows()

    def records(self, content: bytes) -> Iterator[Record]:
        """Return the conversation of a line."""
        if not content.strip():
            return
        row = _row(parse_line(content))
        place = None if row.image is None else self.path.parent / _file_name(row.image)
        view = None if place is None else _View(*_size(place))
        part = _part(row.conversation, view)
        if view is not None:
            view = replace(view, part=part)
        image = None if place is None else ImageReference(str(place), part=part)
        yield Record(image, tuple(_turn(turn, view) for turn in row.conversation))


def is_own(path: Path) -> bool:
    """Return whether a path names such a file (it need not exist) rather than a folder of photos."""
    return path.suffix == ".jsonl" or path.is_file()


def count_images(path: Path) -> int:
    """Count the images of a file, and each line without one.

    Unreadable lines are ignored here; reading the records reports them.
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
        raise ValueError('write one object per line: {"image": ..., "ask": ..., "answer": ...}')
    refuse_other_form(content)
    if "conversation" in content:
        return OwnRow.model_validate(content)
    turn = OwnTurn.model_validate({name: value for name, value in content.items() if name != "image"})
    return OwnRow.model_validate({"image": content.get("image"), "conversation": (turn,)})


def _file_name(image: str) -> str:
    if image.lower().startswith("data:"):
        raise ValueError("image: this is the image's data: save it as a file, and give its path")
    if "://" in image:
        raise ValueError(f"image: {image[:100]} is an address: download the image, and give its path")
    if "\0" in image:
        raise ValueError(f"image: {image[:100]!r} cannot be a path: correct it")
    return image


def _part(turns: Sequence[OwnTurn], view: _View | None) -> Box | None:
    """Return the region to crop to; for `[identify]` the region is part of the prompt instead."""
    regions = [it.region for it in turns if it.region is not None and it.task is not Task.IDENTIFY]
    if not regions:
        return None
    if len(turns) > 1:
        raise ValueError("region: in a conversation only [identify] may have one; write a separate line")
    return _box(regions[0], view, "region")


def _size(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:  # opening the image reports the error
        return _decoded_size(path, 0, 0)
    return _decoded_size(path, state.st_size, state.st_mtime_ns)


@cache
def _decoded_size(path: Path, _size_bytes: int, _changed: int) -> tuple[int, int]:
    """Return the size of an image in pixels; cached, as many lines may share one."""
    try:
        image = open_picture(path)
    except ImageError as error:
        raise RowImageError(f"image: {error}", path) from error
    return image.width, image.height


def _turn(turn: OwnTurn, view: _View | None) -> TaskTurn:
    if turn.task in TAKES_NO_ARGUMENT and turn.ask:
        raise ValueError(f"ask: [{turn.task}] takes no text; leave it out")
    if turn.boxes is not None and turn.task is not Task.GROUNDING:
        raise ValueError("boxes: only [grounding] takes it; leave it out")
    _refuse_markers(turn)
    named = turn.region is not None and turn.task is Task.IDENTIFY
    region = _box(turn.region, view, "region") if named else None
    ask, answer = turn.ask, turn.answer
    if turn.task in (Task.REFER, Task.DETECTION) and answer == ABSENT_ANSWER:
        return TaskTurn(turn.task, ask, ABSENT_ANSWER)
    if turn.task is Task.REFER:
        found = _boxes(answer, view, "answer")
        if len(found) != 1:
            raise ValueError("answer: [refer] needs exactly one box: [[x0, y0, x1, y1]]")
        return TaskTurn(turn.task, ask, format_box(found[0]))
    if turn.task is Task.DETECTION:
        things = answer if isinstance(answer, dict) else {ask: answer}
        phrases = [GroundedPhrase(text, _boxes(boxes, view, "answer")) for text, boxes in things.items()]
        return TaskTurn(turn.task, ask or ", ".join(things), format_detection(phrases))
    if not isinstance(answer, str):
        kind = "free conversation" if turn.task is None else turn.task.identifier
        raise ValueError(f"answer: {kind} needs text")
    if turn.task is Task.GROUNDING:
        answer = format_grounded(_grounded(answer, turn.boxes, view))
    return TaskTurn(turn.task, ask, answer, region)


def _refuse_markers(turn: OwnTurn) -> None:
    if marker := _MARKER.search(turn.ask):
        raise ValueError(
            f'ask: leave {marker[0]} out: "task" names the task, and the photo is added automatically'
        )
    for field, value in (("answer", turn.answer), ("boxes", turn.boxes)):
        texts = [value] if isinstance(value, str) else value if isinstance(value, Mapping) else ()
        if marker := next(filter(None, map(_MARKER.search, texts)), None):
            raise ValueError(
                f"{field}: leave {marker[0]} out: give plain words, and boxes as lists of pixels"
            )


def _grounded(text: str, boxes: Any, view: _View | None) -> GroundedText:
    if not isinstance(boxes, Mapping) or not boxes:
        raise ValueError('boxes: name the phrases of the answer: {"a red mug": [[x0, y0, x1, y1]]}')
    placed: list[GroundedPhrase] = []
    for phrase in sorted(boxes, key=len, reverse=True):  # so that "a red mug" is placed before "mug"
        start = _place(phrase, text, placed)
        placed.append(GroundedPhrase(phrase, _boxes(boxes[phrase], view, "boxes"), start))
    return GroundedText(text, tuple(sorted(placed, key=lambda item: item.start)))


def _place(phrase: str, text: str, placed: Sequence[GroundedPhrase]) -> int:
    """Return the first offset of a phrase as whole words that overlaps no phrase placed before."""
    spelled = rf"(?<!{_LETTER})(?={re.escape(phrase)}(?!{_LETTER}))"
    starts = [match.start() for match in re.finditer(spelled, text)] if phrase.strip() else []
    if not starts:
        part = " except as part of a word" if phrase.strip() and phrase in text else ""
        raise ValueError(f"boxes: the answer does not say {phrase!r}{part}")
    for start in starts:
        rivals = [it for it in placed if it.start < start + len(phrase) and start < it.end]
        if not rivals:
            return start
    raise ValueError(f"boxes: {phrase!r} overlaps {rivals[0].text!r} in the answer: box only one of them")


def _boxes(value: Any, view: _View | None, field: str) -> tuple[Box, ...]:
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        raise ValueError(f"{field}: write a list of boxes: [[x0, y0, x1, y1], ...]")
    return tuple(_box(corners, view, field) for corners in value)


def _box(value: Any, view: _View | None, field: str) -> Box:
    if view is None:
        raise ValueError(f"{field}: there is a box but no image")
    try:
        return view.box(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error

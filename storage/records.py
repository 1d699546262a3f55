"""What the store takes and gives: plain values that know no SQL. Times are aware and in UTC."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..vlm.grounding import Box, GroundedPhrase

Feedback = Literal[-1, 0, 1]


@dataclass(frozen=True)
class SessionSummary:
    """A conversation without its turns; `updated` is when its last came, `pinned` keeps it at the top."""

    id: str
    title: str
    created: datetime
    updated: datetime
    pinned: bool
    turns: int


@dataclass(frozen=True)
class StoredImage:
    """A picture in the store, known by the hash of its file.

    `format` is Pillow's name, such as `JPEG`; `width` and `height` are pixels as a person sees the picture
    (EXIF orientation applied); `size` is bytes.
    """

    sha256: str
    format: str
    width: int
    height: int
    size: int


@dataclass(frozen=True)
class Verification:
    """What the model said when it was asked back about a box, and whether that agrees with the box."""

    agrees: bool
    opinion: str


@dataclass(frozen=True)
class StoredStep:
    """One tool call of a turn; steps stand in the order of their calls.

    `task` is None for free conversation; `text` is what the tool said, `raw` what the model wrote, `error`
    what went wrong or None; `seconds` is wall time. `verifications` is empty, or has one for each box in
    the order of the phrases, None where the model was not asked back about that box.

    Raises:
        ValueError: a phrase has no box, `verifications` are not as many as the boxes, or `seconds` is no
            duration.
    """

    task: str | None
    argument: str = ""
    region: Box | None = None
    text: str = ""
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    model: str = ""
    error: str | None = None
    verifications: tuple[Verification | None, ...] = ()

    def __post_init__(self) -> None:
        _check_duration(self.seconds)
        for phrase in self.phrases:
            if not phrase.boxes:
                raise ValueError(f"phrase {phrase.text!r} has no box")
        count = sum(len(phrase.boxes) for phrase in self.phrases)
        if self.verifications and len(self.verifications) != count:
            raise ValueError(f"{len(self.verifications)} verifications of {count} boxes")


@dataclass(frozen=True)
class LabelledBox:
    """A box with the name of what is in it.

    `corners` are left, top, right and bottom in pixels of the picture as a person sees it; `score` is a
    probability 0..1, None where the model gave none or a person drew the box.

    Raises:
        ValueError: the corners are in the wrong order, or the score is no probability.
    """

    phrase: str
    corners: tuple[float, float, float, float]
    score: float | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.corners
        if not (0 <= left <= right and 0 <= top <= bottom):
            raise ValueError(f"no box: {self.corners}")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"a box's score lies in 0..1, not {self.score}")

    @property
    def name(self) -> str:
        """What programs that train detectors call the class of the box."""
        words = " ".join(self.phrase.lower().split())
        return "".join(character for character in words if character.isprintable()) or "object"

    @property
    def has_area(self) -> bool:
        """Whether there is anything in it: programs that train detectors fail at boxes without."""
        left, top, right, bottom = self.corners
        return left < right and top < bottom


@dataclass(frozen=True)
class NewTurn:
    """A finished exchange to be kept: the words of the person, the answer, and the steps that led to it.

    `image` is the picture that the turn looks at (each turn names it), `region` the part of it asked about;
    `seconds` is wall time; `why` explains the choice of the steps; `stopped` tells that the person ended the
    turn before it was done.

    Raises:
        ValueError: `seconds` is no duration.
    """

    user: str
    answer: str
    image: StoredImage | None = None
    region: Box | None = None
    steps: tuple[StoredStep, ...] = ()
    model: str = ""
    seconds: float = 0.0
    why: str = ""
    stopped: bool = False

    def __post_init__(self) -> None:
        _check_duration(self.seconds)


@dataclass(frozen=True, kw_only=True)
class StoredTurn(NewTurn):
    """A turn in the store; the numbers of a session's turns are 1, 2, 3 and so on without a gap.

    `corrections` are all boxes of the turn as a person left them, None where nobody changed the model's.
    """

    session_id: str
    number: int
    created: datetime
    feedback: Feedback | None = None
    corrections: tuple[LabelledBox, ...] | None = None


@dataclass(frozen=True)
class SearchHit:
    """A turn that a search found; `snippet` is the part of its question or answer around the words."""

    session_id: str
    session_title: str
    number: int
    snippet: str
    created: datetime


@dataclass(frozen=True)
class Problem:
    """Something wrong in the store: `subject` is the row or the file, `detail` what is wrong with it."""

    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


def distinct_images(turns: Iterable[NewTurn]) -> list[StoredImage]:
    """Return the pictures of the turns, each once, in the order in which they come up."""
    return list(dict.fromkeys(turn.image for turn in turns if turn.image is not None))


def found_boxes(turn: NewTurn) -> tuple[LabelledBox, ...]:
    """Return the boxes of a turn as the model gave them.

    A box without a phrase of its own has its step's argument for one, which is what was looked for.
    """
    if turn.image is None:
        return ()
    width, height = turn.image.width, turn.image.height
    return tuple(
        LabelledBox(
            phrase.text.strip() or step.argument.strip(), _hundredths(box.to_pixels(width, height)), box.score
        )
        for step in turn.steps
        for phrase in step.phrases
        for box in phrase.boxes
    )


def labelled_boxes(turn: NewTurn) -> tuple[LabelledBox, ...]:
    """Return the boxes of a turn: a person's where somebody corrected them, else the model's."""
    corrections = turn.corrections if isinstance(turn, StoredTurn) else None
    return found_boxes(turn) if corrections is None else corrections


def _hundredths(pixels: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(value, 2) for value in pixels)
    return left, top, right, bottom


def _check_duration(seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be a finite number from 0 on, not {seconds}")


__all__ = [
    "Feedback",
    "LabelledBox",
    "NewTurn",
    "Problem",
    "SearchHit",
    "SessionSummary",
    "StoredImage",
    "StoredStep",
    "StoredTurn",
    "Verification",
    "distinct_images",
    "found_boxes",
    "labelled_boxes",
]

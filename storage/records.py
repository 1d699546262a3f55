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
    """A conversation without its turns; `updated` is when its last turn or its title came."""

    id: str
    title: str
    created: datetime
    updated: datetime
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
    """A turn in the store; the numbers of a session's turns are 1, 2, 3 and so on without a gap."""

    session_id: str
    number: int
    created: datetime
    feedback: Feedback | None = None


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


def _check_duration(seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be a finite number from 0 on, not {seconds}")


__all__ = [
    "Feedback",
    "NewTurn",
    "Problem",
    "SearchHit",
    "SessionSummary",
    "StoredImage",
    "StoredStep",
    "StoredTurn",
    "Verification",
    "distinct_images",
]

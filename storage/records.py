"""The store's data types, from the database to the page and the exports. Times are timezone-aware, in UTC.

Pydantic checks every field, and reads and writes the JSON of an export (`exchange.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, PlainSerializer, PlainValidator, ValidationInfo
from pydantic.dataclasses import dataclass

from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.tasks import CHAT
from .forms import STRICT, Phrase, Region, Score, Seconds, Time, Verification, verification_of

Feedback = Literal[-1, 0, 1]


@dataclass(frozen=True, config=STRICT)
class SessionSummary:
    """A conversation without its turns.

    `updated` is the time of the last turn; `pinned` sessions are listed first; `turns` is the number of
    turns; `owner` is a visitor of the page, None for the local user.

    >>> noon = datetime.fromisoformat("2026-01-01T12:00:00Z")
    >>> SessionSummary("3f2a", "A walk", created=noon, updated=noon).pinned
    False
    """

    id: str
    title: str
    created: Time
    updated: Time
    pinned: bool = False
    turns: Annotated[int, Field(exclude=True)] = 0
    owner: Annotated[str | None, Field(exclude=True)] = None


@dataclass(frozen=True, config=STRICT)
class StoredImage:
    """An image in the store, identified by the hash of its file.

    `format` is Pillow's name, such as `JPEG`; `width` and `height` are in pixels, with the EXIF orientation
    applied; `size` is in bytes.

    >>> StoredImage("0" * 64, "JPEG", width=451, height=300, size=29_931).format
    'JPEG'
    """

    sha256: str
    format: str
    width: int
    height: int
    size: int


def _known_image(given: Any, info: ValidationInfo) -> StoredImage:
    """Return the image, or in JSON the one with that hash among the context's, which are by hash."""
    image = info.context.get(given) if info.context and isinstance(given, str) else given
    if not isinstance(image, StoredImage):
        raise ValueError("not in `images`")
    return image


_Image = Annotated[StoredImage, PlainValidator(_known_image), PlainSerializer(lambda image: image.sha256)]


@dataclass(frozen=True, config=STRICT)
class StoredStep:
    """One tool call of a turn.

    `task` is None for free conversation; `text` is the answer sentence, `raw` the model's output, `error` the
    reason of a failure or None; `seconds` is wall time. A box that the model checked is a `CheckedBox`.
    `stopped` is not saved: the person stopped the step before the model finished.

    >>> dog = GroundedPhrase("the dog", (Box(12, 30, 35, 92, score=0.8),))
    >>> StoredStep("refer", "the dog", phrases=(dog,)).name
    'refer'

    Raises:
        ValueError: a phrase has no box, or `seconds` is not a duration.
    """

    task: str | None
    argument: str = ""
    region: Region | None = None
    text: str = ""
    raw: str = ""
    phrases: tuple[Phrase, ...] = ()
    seconds: Seconds = 0.0
    model: str = ""
    error: str | None = None
    stopped: Annotated[bool, Field(exclude=True)] = False

    def __post_init__(self) -> None:
        for phrase in self.phrases:
            if not phrase.boxes:
                raise ValueError(f"phrase {phrase.text!r} has no box")

    @property
    def name(self) -> str:
        """The task's name, `chat` for free conversation."""
        return self.task or CHAT

    @property
    def boxes(self) -> tuple[Box, ...]:
        """All boxes, in the order of the phrases."""
        return tuple(box for phrase in self.phrases for box in phrase.boxes)

    @property
    def verifications(self) -> tuple[Verification | None, ...]:
        """The check of each box, None for a box that was not checked; empty if none was."""
        found = tuple(map(verification_of, self.boxes))
        return found if any(found) else ()


@dataclass(frozen=True, config=STRICT)
class LabelledBox:
    """A box with its label.

    `corners` are left, top, right and bottom in pixels of the upright image; `score` is a probability 0..1,
    None if the model gave none or a person drew the box.

    >>> LabelledBox("A  Dog", (20, 10, 100, 60)).name
    'a dog'

    Raises:
        ValueError: the corners are in the wrong order, or the score is not a probability.
    """

    phrase: str
    corners: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    score: Score | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.corners
        if not (0 <= left <= right and 0 <= top <= bottom):
            raise ValueError(f"not a box: {self.corners}")

    @property
    def name(self) -> str:
        """The class name of the box in exports for detectors."""
        words = " ".join(self.phrase.lower().split())
        return "".join(character for character in words if character.isprintable()) or "object"

    @property
    def has_area(self) -> bool:
        """Whether the area is above 0: programs that train detectors fail on boxes without area."""
        left, top, right, bottom = self.corners
        return left < right and top < bottom


@dataclass(frozen=True, config=STRICT)
class NewTurn:
    """A finished turn to save: the person's message, the answer, and the steps that led to it.

    `image` is the turn's image, repeated on every turn; `region` is the part of it that the message is about;
    `seconds` is wall time; `why` explains the choice of the steps; `stopped` means that the person stopped
    the turn early.

    >>> dog = GroundedPhrase("the dog", (Box(12, 30, 35, 92),))
    >>> NewTurn("where is it?", "Left.", steps=(StoredStep("refer", "the dog", phrases=(dog,)),)).phrases
    (GroundedPhrase(text='the dog', boxes=(Box(x0=12, y0=30, x1=35, y1=92, score=None),), start=0),)

    Raises:
        ValueError: `seconds` is not a duration.
    """

    user: str
    answer: str
    image: _Image | None = None
    region: Region | None = None
    steps: tuple[StoredStep, ...] = ()
    model: str = ""
    seconds: Seconds = 0.0
    why: str = ""
    stopped: bool = False

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """All phrases that the model located, in the order of the steps."""
        return tuple(phrase for step in self.steps for phrase in step.phrases)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StoredTurn(NewTurn):
    """A turn in the store; a session numbers its turns from 1 without gaps.

    `corrections` are all boxes of the turn after a person's corrections, None if nobody corrected them.

    >>> noon = datetime.fromisoformat("2026-01-01T12:00:00Z")
    >>> StoredTurn("hello", "Hello!", session_id="3f2a", number=1, created=noon).feedback is None
    True
    """

    session_id: Annotated[str, Field(exclude=True)] = ""
    number: int
    created: Time
    feedback: Feedback | None = None
    corrections: tuple[LabelledBox, ...] | None = None


@dataclass(frozen=True)
class SearchHit:
    """A turn that a search found; `snippet` is the part of its question or answer around the match.

    >>> noon = datetime.fromisoformat("2026-01-01T12:00:00Z")
    >>> hit = SearchHit("3f2a", "A walk", 1, "where is the dog?", created=noon)
    >>> f"{hit.session_title}, turn {hit.number}"
    'A walk, turn 1'
    """

    session_id: str
    session_title: str
    number: int
    snippet: str
    created: datetime


@dataclass(frozen=True)
class Usage:
    """The number of an owner's images, and their size in bytes.

    >>> Usage(pictures=2, size=59_862)
    Usage(pictures=2, size=59862)
    """

    pictures: int
    size: int


@dataclass(frozen=True)
class Problem:
    """A problem in the store: the row or file, and what is wrong with it.

    >>> print(Problem("session 3f2a", "its turns are not numbered 1, 2, 3 and so on"))
    session 3f2a: its turns are not numbered 1, 2, 3 and so on
    """

    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


def distinct_images(turns: Iterable[NewTurn]) -> list[StoredImage]:
    """Return the images of the turns without repeats, in order of first use."""
    return list(dict.fromkeys(turn.image for turn in turns if turn.image is not None))


def found_boxes(turn: NewTurn) -> tuple[LabelledBox, ...]:
    """Return the model's boxes of a turn; a box without a phrase takes its step's argument."""
    if turn.image is None:
        return ()
    size = turn.image.width, turn.image.height
    return tuple(
        LabelledBox(phrase.text.strip() or step.argument.strip(), _pixels(box, size), box.score)
        for step in turn.steps
        for phrase in step.phrases
        for box in phrase.boxes
    )


def labelled_boxes(turn: NewTurn) -> tuple[LabelledBox, ...]:
    """Return a turn's corrected boxes if a person corrected them, else the model's."""
    corrections = turn.corrections if isinstance(turn, StoredTurn) else None
    return found_boxes(turn) if corrections is None else corrections


def _pixels(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(value, 2) for value in box.to_pixels(*size))
    return left, top, right, bottom

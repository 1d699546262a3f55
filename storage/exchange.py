"""Export a session as one JSON file, images included, and import it again.

The format is stable: a change that an older reader would misunderstand increments `version`, and all earlier
versions remain readable. Version 2 added `why` and `stopped` of a turn and `verification` of a box;
version 3 added `pinned` of a session and `corrections` of a turn.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from ..vlm.errors import ImageError
from ..vlm.grounding import Box, GroundedPhrase
from .errors import ExchangeError
from .images import ImageFolder
from .images import read as inspect_image
from .records import (
    Feedback,
    LabelledBox,
    SessionSummary,
    StoredImage,
    StoredStep,
    StoredTurn,
    Verification,
    distinct_images,
)

VERSION: Literal[3] = 3


def _check_bins(bins: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    Box(*bins)  # raises ValueError
    return bins


def _check_corners(corners: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    LabelledBox("", corners)  # raises ValueError
    return corners


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time in UTC") from error


_Bins = Annotated[tuple[int, int, int, int], AfterValidator(_check_bins)]
_Time = Annotated[AwareDatetime, AfterValidator(_to_utc)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Score = Annotated[float, Field(ge=0, le=1)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Verification(_Part):
    agrees: bool
    opinion: str


class _Box(_Part):
    bins: _Bins
    score: _Score | None
    verification: _Verification | None = None


class _Phrase(_Part):
    text: str
    start: Annotated[int, Field(ge=0, lt=2**31)]
    boxes: Annotated[tuple[_Box, ...], Field(min_length=1)]


class _Step(_Part):
    task: str | None
    argument: str
    region: _Bins | None
    text: str
    raw: str
    phrases: tuple[_Phrase, ...]
    seconds: _Seconds
    model: str
    error: str | None


class _Correction(_Part):
    phrase: str
    corners: Annotated[tuple[float, float, float, float], AfterValidator(_check_corners)]
    score: _Score | None


class _Turn(_Part):
    number: int
    user: str
    region: _Bins | None
    image: _Hash | None
    answer: str
    model: str
    seconds: _Seconds
    created: _Time
    feedback: Feedback | None
    why: str = ""
    stopped: bool = False
    corrections: tuple[_Correction, ...] | None = None
    steps: tuple[_Step, ...]


class _Image(_Part):
    sha256: _Hash
    format: str
    width: int
    height: int
    size: int
    data: Base64Bytes


class _Session(_Part):
    id: str
    title: str
    created: _Time
    updated: _Time
    pinned: bool = False


class _File(_Part):
    version: Literal[1, 2, 3]
    session: _Session
    images: tuple[_Image, ...]
    turns: tuple[_Turn, ...]


def write(session: SessionSummary, turns: Sequence[StoredTurn], folder: ImageFolder) -> str:
    """Return a session as JSON.

    Raises:
        ImageError: an image file is missing or was changed.
    """
    images = ((image, b64encode(folder.load(image))) for image in distinct_images(turns))
    content = _File(
        version=VERSION,
        session=_Session(
            id=session.id,
            title=session.title,
            created=session.created,
            updated=session.updated,
            pinned=session.pinned,
        ),
        images=tuple(_Image(**vars(image), data=data) for image, data in images),
        turns=tuple(_write_turn(turn) for turn in turns),
    )
    return content.model_dump_json()


def read(content: str | bytes) -> tuple[SessionSummary, list[bytes], list[StoredTurn]]:
    """Return the session of an export, the bytes of its images, and its turns.

    Raises:
        ExchangeError: the content is not an export of a known version; the message names the field.
    """
    try:
        file = _File.model_validate_json(_text(content))
    except ValidationError as error:
        raise _explain(error) from error
    images = {image.sha256: _read_image(image, f"images[{i}]") for i, image in enumerate(file.images)}
    turns = [_read_turn(file.session.id, i, turn, images) for i, turn in enumerate(file.turns)]
    session = SessionSummary(
        file.session.id,
        file.session.title,
        file.session.created,
        file.session.updated,
        file.session.pinned,
        len(turns),
    )
    return session, [image.data for image in file.images], turns


def _text(content: str | bytes) -> str:
    """Decode UTF-8 or UTF-16, with or without a byte order mark, as editors and shells write it."""
    try:
        text = content if isinstance(content, str) else content.decode(json.detect_encoding(content))
        text.encode()
    except UnicodeError as error:
        raise ExchangeError("the file is not text; export the session again") from error
    return text.removeprefix("\ufeff")


def _explain(error: ValidationError) -> ExchangeError:
    first = error.errors(include_url=False)[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if field == "version" and first["type"] == "missing":
        return ExchangeError("version: missing; give a JSON file that `sessions export` wrote")
    if field == "version":
        given = _short(repr(first["input"]))
        return ExchangeError(f"version: {given} is unknown, only 1 to {VERSION} are; update the program")
    return ExchangeError(f"{_short(field) or 'the file'}: {_short(first['msg'])}; export the session again")


def _short(text: str) -> str:
    """Make text from a file fit a one-line message: printable and short."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= 120 else f"{shown[:119]}…"


def _write_turn(turn: StoredTurn) -> _Turn:
    return _Turn(
        number=turn.number,
        user=turn.user,
        region=turn.region.bins if turn.region else None,
        image=turn.image.sha256 if turn.image else None,
        answer=turn.answer,
        model=turn.model,
        seconds=turn.seconds,
        created=turn.created,
        feedback=turn.feedback,
        why=turn.why,
        stopped=turn.stopped,
        corrections=_write_corrections(turn.corrections),
        steps=tuple(_write_step(step) for step in turn.steps),
    )


def _write_corrections(boxes: tuple[LabelledBox, ...] | None) -> tuple[_Correction, ...] | None:
    if boxes is None:
        return None
    return tuple(_Correction(phrase=box.phrase, corners=box.corners, score=box.score) for box in boxes)


def _read_corrections(boxes: tuple[_Correction, ...] | None) -> tuple[LabelledBox, ...] | None:
    return None if boxes is None else tuple(LabelledBox(box.phrase, box.corners, box.score) for box in boxes)


def _write_step(step: StoredStep) -> _Step:
    verifications = iter(step.verifications)
    phrases = (
        _Phrase(
            text=phrase.text,
            start=phrase.start,
            boxes=tuple(_write_box(box, next(verifications, None)) for box in phrase.boxes),
        )
        for phrase in step.phrases
    )
    return _Step(
        task=step.task,
        argument=step.argument,
        region=step.region.bins if step.region else None,
        text=step.text,
        raw=step.raw,
        phrases=tuple(phrases),
        seconds=step.seconds,
        model=step.model,
        error=step.error,
    )


def _write_box(box: Box, verified: Verification | None) -> _Box:
    verification = _Verification(agrees=verified.agrees, opinion=verified.opinion) if verified else None
    return _Box(bins=box.bins, score=box.score, verification=verification)


def _read_image(image: _Image, field: str) -> StoredImage:
    given = StoredImage(**image.model_dump(exclude={"data"}))
    try:
        _, found = inspect_image(image.data)
    except ImageError as error:
        raise ExchangeError(f"{field}.data: {error}") from error
    for name, value in vars(found).items():
        if getattr(given, name) != value:
            raise ExchangeError(f"{field}.{name}: the picture in `data` has {value!r}; export it again")
    return given


def _read_turn(session_id: str, index: int, turn: _Turn, images: dict[str, StoredImage]) -> StoredTurn:
    field = f"turns[{index}]"
    if turn.number != index + 1:
        raise ExchangeError(f"{field}.number: must be {index + 1}, not {turn.number}")
    if turn.image is not None and turn.image not in images:
        raise ExchangeError(f"{field}.image: not in `images`; export the session again")
    return StoredTurn(
        session_id=session_id,
        number=turn.number,
        user=turn.user,
        answer=turn.answer,
        image=images[turn.image] if turn.image else None,
        region=_region(turn.region),
        steps=tuple(_read_step(step) for step in turn.steps),
        model=turn.model,
        seconds=turn.seconds,
        created=turn.created,
        feedback=turn.feedback,
        why=turn.why,
        stopped=turn.stopped,
        corrections=_read_corrections(turn.corrections),
    )


def _read_step(step: _Step) -> StoredStep:
    found = [box.verification for phrase in step.phrases for box in phrase.boxes]
    verifications = tuple(Verification(item.agrees, item.opinion) if item else None for item in found)
    return StoredStep(
        task=step.task,
        argument=step.argument,
        region=_region(step.region),
        text=step.text,
        raw=step.raw,
        phrases=tuple(_read_phrase(phrase) for phrase in step.phrases),
        seconds=step.seconds,
        model=step.model,
        error=step.error,
        verifications=verifications if any(found) else (),
    )


def _read_phrase(phrase: _Phrase) -> GroundedPhrase:
    return GroundedPhrase(phrase.text, tuple(Box(*box.bins, box.score) for box in phrase.boxes), phrase.start)


def _region(bins: tuple[int, int, int, int] | None) -> Box | None:
    return None if bins is None else Box(*bins)

"""Export a session as one JSON file, images included, and import it again.

The format is stable: a change that an older reader would misunderstand increments `version`, and all earlier
versions remain readable. Version 2 added `why` and `stopped` of a turn and `verification` of a box;
version 3 added `pinned` of a session and `corrections` of a turn.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Base64Bytes,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import to_json

from ..vlm.errors import ImageError
from .errors import ExchangeError
from .forms import STRICT
from .images import ImageFolder
from .images import read as inspect_image
from .records import SessionSummary, StoredImage, StoredTurn, distinct_images

VERSION = 3


@dataclass(frozen=True, config=STRICT)
class _ImageFile(StoredImage):
    data: Base64Bytes

    @field_validator("data")
    @classmethod
    def _check(cls, data: bytes, info: ValidationInfo) -> bytes:
        """Check that the other fields describe the image."""
        try:
            _, found = inspect_image(data)
        except ImageError as error:
            raise ValueError(str(error)) from error
        for name, value in info.data.items():
            if getattr(found, name) != value:
                raise ValueError(f"the image's {name} is {getattr(found, name)!r}, not {value!r}")
        return data


def _list_images(images: tuple[_ImageFile, ...], info: ValidationInfo) -> tuple[_ImageFile, ...]:
    """Add the images to the context, where the turns look them up by their hash."""
    known: dict[str, StoredImage] = info.context if info.context is not None else {}
    for image in images:
        known[image.sha256] = StoredImage(image.sha256, image.format, image.width, image.height, image.size)
    return images


@dataclass(frozen=True, config=STRICT)
class _File:
    version: Literal[1, 2, 3]
    session: SessionSummary
    images: Annotated[tuple[_ImageFile, ...], AfterValidator(_list_images)]
    turns: tuple[StoredTurn, ...]


_FILE = TypeAdapter(_File)


def write(session: SessionSummary, turns: Sequence[StoredTurn], folder: ImageFolder) -> str:
    """Return a session as JSON.

    Raises:
        ImageError: an image file is missing or was changed.
    """
    images = [vars(image) | {"data": b64encode(folder.load(image))} for image in distinct_images(turns)]
    content = {"version": VERSION, "session": session, "images": images, "turns": list(turns)}
    return to_json(content).decode()


def read(content: str | bytes) -> tuple[SessionSummary, list[bytes], list[StoredTurn]]:
    """Return the session of an export, the bytes of its images, and its turns.

    Raises:
        ExchangeError: the content is not an export of a known version; the message names the field.
    """
    try:
        file = _FILE.validate_json(_text(content), context={})
    except ValidationError as error:
        raise _explain(error) from error
    for number, turn in enumerate(file.turns, 1):
        if turn.number != number:
            raise ExchangeError(f"turns[{number - 1}].number: must be {number}, not {turn.number}")
    return file.session, [image.data for image in file.images], list(file.turns)


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
    unknown = first["type"] == "unexpected_keyword_argument"
    reason = "there is no such field" if unknown else _short(first["msg"].removeprefix("Value error, "))
    return ExchangeError(f"{_short(field) or 'the file'}: {reason}; export the session again")


def _short(text: str) -> str:
    """Make text from a file fit a one-line message: printable and short."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= 120 else f"{shown[:119]}…"

"""Boxes of a step as the store has them, and the JSON forms of values that other packages define."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema, core_schema

from ..vlm.grounding import Box, GroundedPhrase

STRICT = ConfigDict(extra="forbid", strict=True)


@dataclasses.dataclass(frozen=True)
class Form:
    """Annotates a type with its form in JSON; in Python, the field takes instances only.

    `read` converts a valid form to an instance and may raise ValueError; `write` does the reverse.
    """

    form: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        form = handler.generate_schema(self.form)
        return core_schema.json_or_python_schema(
            core_schema.no_info_after_validator_function(self.read, form),
            core_schema.is_instance_schema(source),
            serialization=core_schema.plain_serializer_function_ser_schema(self.write, return_schema=form),
        )


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time in UTC") from error


Bins = tuple[int, int, int, int]
Region = Annotated[Box, Form(Bins, lambda bins: Box(*bins), lambda box: box.bins)]
"""A box, in JSON `[x0, y0, x1, y1]` in hundredths of the image's sides."""
Score = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Time = Annotated[AwareDatetime, AfterValidator(_to_utc)]


@dataclass(frozen=True, config=STRICT)
class Verification:
    """The model's own check of a box: whether it agrees, and what it said.

    >>> Verification(agrees=False, opinion="a cat").opinion
    'a cat'
    """

    agrees: bool
    opinion: str


@dataclasses.dataclass(frozen=True, eq=False)
class CheckedBox(Box):
    """A box with the model's own check of it; equal to any box in the same place.

    >>> box = CheckedBox.of(Box(0, 0, 10, 10, score=0.9), Verification(False, "a cat"))
    >>> box == Box(0, 0, 10, 10), verification_of(box).opinion
    (True, 'a cat')
    """

    verification: Verification | None = None

    @classmethod
    def of(cls, box: Box, verification: Verification | None) -> Box:
        """Return the box with its check, if there was one."""
        return cls(*box.bins, box.score, verification) if verification else box

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.bins == other.bins

    __hash__ = Box.__hash__


def verification_of(box: Box) -> Verification | None:
    """Return the check of a box, None if it was not checked."""
    return box.verification if isinstance(box, CheckedBox) else None


@dataclass(frozen=True, config=STRICT)
class _BoxForm:
    bins: Bins
    score: Score | None
    verification: Verification | None = None

    @classmethod
    def of(cls, box: Box) -> _BoxForm:
        return cls(box.bins, box.score, verification_of(box))

    def read(self) -> Box:
        return CheckedBox.of(Box(*self.bins, self.score), self.verification)


_FoundBox = Annotated[Box, Form(_BoxForm, _BoxForm.read, _BoxForm.of)]


@dataclass(frozen=True, config=STRICT)
class _PhraseForm:
    text: str
    start: Annotated[int, Field(ge=0, lt=2**31)]
    boxes: Annotated[tuple[_FoundBox, ...], Field(min_length=1)]

    @classmethod
    def of(cls, phrase: GroundedPhrase) -> _PhraseForm:
        return cls(phrase.text, phrase.start, phrase.boxes)

    def read(self) -> GroundedPhrase:
        return GroundedPhrase(self.text, self.boxes, self.start)


Phrase = Annotated[GroundedPhrase, Form(_PhraseForm, _PhraseForm.read, _PhraseForm.of)]
"""A phrase, in JSON `{"text", "start", "boxes": [{"bins", "score", "verification"}]}`."""

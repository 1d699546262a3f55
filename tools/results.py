"""What a tool found: typed for programs, and in words for a model."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.pictures import Picture
from ..vlm.tasks import Task

# A hundredth of a side in whole pixels has two decimals: nothing is lost.
_DECIMALS = 2
_SCORE_DECIMALS = 4

Pixels = Annotated[list[float], Field(min_length=4, max_length=4)]
Bins = Annotated[list[Annotated[int, Field(ge=0, le=100)]], Field(min_length=4, max_length=4)]


class _Record(BaseModel):
    """A typed value that is read by subscripts too, as it must be once a checkpoint made it a dict."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=True)

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise KeyError(name) from None


class ImageReference(_Record):
    """Which picture was looked at; `reference` is its path or id, None for one that came in memory.

    `width` and `height` are pixels of the picture as a person sees it; `sha256` is that of the file's bytes,
    or of the pixels of a picture that came decoded.
    """

    reference: str | None
    width: int
    height: int
    sha256: str


class FoundBox(_Record):
    """A box and the phrase that it belongs to.

    `box` is `[x0, y0, x1, y1]` in pixels of the picture as a person sees it, `bins` the same in whole
    hundredths of its sides; `score` is the probability 0..1 that the model gave to it, None where unknown.
    """

    phrase: str
    box: Pixels
    bins: Bins
    score: float | None


class VisionResult(_Record):
    """The result of one call: the artifact of a LangChain tool, and the structured content over MCP."""

    version: Literal[1] = 1
    task: Task
    image: ImageReference
    text: str
    boxes: list[FoundBox]

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The boxes again as grounded phrases, neighbours of one phrase together, for drawing."""
        groups = groupby(self.boxes, key=lambda found: found.phrase)
        return tuple(GroundedPhrase(phrase, tuple(map(_box, boxes))) for phrase, boxes in groups)

    @classmethod
    def of(cls, artifact: Any) -> VisionResult | None:
        """Return the result in the artifact of a message: as it was made, saved and read again, or over MCP.

        None where it is none of ours.
        """
        try:
            return cls.model_validate(artifact)
        except ValidationError:
            content = artifact.get("structured_content") if isinstance(artifact, dict) else None
            return None if content is None else cls.of(content)


class PictureList(_Record):
    """The paths and ids of pictures; `more` says that there are others."""

    pictures: list[str]
    more: bool


def result_of(
    task: Task, picture: Picture, reference: str | None, text: str, phrases: Iterable[GroundedPhrase]
) -> VisionResult:
    """Return a result with the boxes in pixels of the picture."""
    return VisionResult(
        task=task,
        image=ImageReference(
            reference=reference, width=picture.width, height=picture.height, sha256=picture.sha256
        ),
        text=one_line(text),
        boxes=[_found(phrase.text, box, picture) for phrase in phrases for box in phrase.boxes],
    )


def in_words(result: VisionResult) -> str:
    """Return what a model reads: what was found, then the boxes with the form that they are written in."""
    if not result.boxes:
        return result.text
    image = result.image
    return "\n".join(
        [
            result.text,
            f"Boxes as [x0, y0, x1, y1] in pixels of the picture, which is {image.width} wide and "
            f"{image.height} high, the origin being its top left corner:",
            *(_line(found, result.task) for found in result.boxes),
        ]
    )


def one_line(text: str) -> str:
    """Return the text in one line, so that what a picture says cannot pass for lines of ours."""
    return " ".join(text.split())


def _line(found: FoundBox, task: Task) -> str:
    corners = ", ".join(f"{value:g}" for value in found.box)
    line = f"- {found.phrase}: [{corners}]"
    if task == Task.IDENTIFY:  # the box was given, not found
        return line
    return f"{line}, confidence {'unknown' if found.score is None else f'{found.score:.0%}'}"


def _found(phrase: str, box: Box, picture: Picture) -> FoundBox:
    return FoundBox(
        phrase=one_line(phrase),
        box=[round(value, _DECIMALS) for value in box.to_pixels(picture.width, picture.height)],
        bins=list(box.bins),
        score=None if box.score is None else round(box.score, _SCORE_DECIMALS),
    )


def _box(found: FoundBox) -> Box:
    x0, y0, x1, y1 = found.bins
    return Box(x0, y0, x1, y1, found.score)


__all__ = ["FoundBox", "ImageReference", "PictureList", "VisionResult", "in_words", "one_line", "result_of"]

"""Tool results: typed values for programs, text for models."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.pictures import Picture
from ..vlm.tasks import Task

# Hundredths of a whole number of pixels have two decimals, so rounding to two loses nothing.
_DECIMALS = 2
_SCORE_DECIMALS = 4

Pixels = Annotated[list[float], Field(min_length=4, max_length=4)]
Bins = Annotated[list[Annotated[int, Field(ge=0, le=100)]], Field(min_length=4, max_length=4)]


class _Record(BaseModel):
    """A typed value that also supports subscripts, like the dict that a checkpoint turns it into."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=True)

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise KeyError(name) from None


class ImageReference(_Record):
    """The image that a tool used; `reference` is its path or id, None if it came in memory.

    `width` and `height` are pixels of the upright image; `sha256` hashes the file's bytes, or the pixels of
    an image that came decoded.

    >>> ImageReference(reference="cat.jpg", width=451, height=300, sha256="0" * 64)["width"]
    451
    """

    reference: str | None
    width: int
    height: int
    sha256: str


class FoundBox(_Record):
    """A box and its phrase.

    `box` is `[x0, y0, x1, y1]` in pixels of the upright image, `bins` the same in whole hundredths of its
    sides; `score` is the model's probability 0..1 for the box, None if unknown.

    >>> FoundBox.of("the cat", Box(10, 20, 50, 100, 0.83), (451, 300)).box
    [45.1, 60.0, 225.5, 300.0]
    """

    phrase: str
    box: Pixels
    bins: Bins
    score: float | None

    @classmethod
    def of(cls, phrase: str, box: Box, size: tuple[int, int]) -> FoundBox:
        """Return a box in an image of that width and height."""
        score = None if box.score is None else round(box.score, _SCORE_DECIMALS)
        return cls(phrase=phrase, box=in_pixels(box, size), bins=list(box.bins), score=score)


class VisionResult(_Record):
    """The result of one call: a LangChain tool's artifact, and the structured content over MCP.

    >>> image = ImageReference(reference="cat.jpg", width=451, height=300, sha256="0" * 64)
    >>> cat = FoundBox.of("the cat", Box(10, 20, 50, 100), (451, 300))
    >>> VisionResult(task=Task.REFER, image=image, text="Found it.", boxes=[cat]).phrases[0].text
    'the cat'
    """

    version: Literal[1] = 1
    task: Task
    image: ImageReference
    text: str
    boxes: list[FoundBox]

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The boxes as grounded phrases, for drawing; consecutive boxes of one phrase are grouped."""
        groups = groupby(self.boxes, key=lambda found: found.phrase)
        return tuple(
            GroundedPhrase(phrase, tuple(Box(*found.bins).with_score(found.score) for found in boxes))
            for phrase, boxes in groups
        )

    @classmethod
    def of(cls, artifact: Any) -> VisionResult | None:
        """Return the result in a message's artifact, even from a checkpoint or over MCP.

        Returns None for any other artifact.
        """
        try:
            return cls.model_validate(artifact)
        except ValidationError:
            content = artifact.get("structured_content") if isinstance(artifact, dict) else None
            return None if content is None else cls.of(content)


class PictureList(_Record):
    """The paths and ids of images; `more` means that there are others.

    >>> PictureList(pictures=["cat.jpg"], more=False).pictures
    ['cat.jpg']
    """

    pictures: list[str]
    more: bool


def make_result(
    task: Task, picture: Picture, reference: str | None, text: str, phrases: Iterable[GroundedPhrase]
) -> VisionResult:
    """Return a result with the boxes in pixels of the image."""
    size = picture.width, picture.height
    return VisionResult(
        task=task,
        image=ImageReference(reference=reference, width=size[0], height=size[1], sha256=picture.sha256),
        text=one_line(text),
        boxes=[FoundBox.of(one_line(phrase.text), box, size) for phrase in phrases for box in phrase.boxes],
    )


def in_pixels(box: Box, size: tuple[int, int]) -> list[float]:
    """Return a box's corners in pixels of an image of that width and height, rounded to hundredths."""
    return [round(value, _DECIMALS) for value in box.to_pixels(*size)]


def to_text(result: VisionResult) -> str:
    """Return the text for a model: the answer, then the boxes and their format."""
    if not result.boxes:
        return result.text
    image = result.image
    return "\n".join(
        [
            result.text,
            f"Boxes as [x0, y0, x1, y1] in pixels of the image, which is {image.width} wide and "
            f"{image.height} high, the origin being its top left corner:",
            *(_line(found, result.task) for found in result.boxes),
        ]
    )


def one_line(text: str) -> str:
    """Return the text as one line, so that text in an image cannot imitate our own lines."""
    return " ".join(text.split())


def _line(found: FoundBox, task: Task) -> str:
    corners = ", ".join(f"{value:g}" for value in found.box)
    line = f"- {found.phrase}: [{corners}]"
    if task == Task.IDENTIFY:  # the caller gave the box
        return line
    return f"{line}, confidence {'unknown' if found.score is None else f'{found.score:.0%}'}"

"""What a model fills in to call a tool; the descriptions are written for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

LONGEST_TEXT = 500
"""Characters of a question, a phrase or an instruction."""
LONGEST_REFERENCE = 1000
"""Characters of a picture's path or id."""


def _ordered(region: list[float]) -> list[float]:
    x0, y0, x1, y1 = region
    if not (x0 < x1 and y0 < y1):
        raise ValueError("a region is [x0, y0, x1, y1] with x0 < x1 and y0 < y1, not [x, y, width, height]")
    return region


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_REFERENCE)]
Coordinate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Region = Annotated[list[Coordinate], Field(min_length=4, max_length=4), AfterValidator(_ordered)]

_REGION = (
    "[x0, y0, x1, y1] in pixels of the picture: left, top, right and bottom edge, "
    "the origin being the picture's top left corner."
)


class CaptionArguments(BaseModel):
    """The picture alone; the arguments of every other tool add to this."""

    model_config = ConfigDict(extra="forbid")

    image: Reference | None = Field(
        default=None, description="Path or id of the picture; leave it out to use the current picture."
    )


class VqaArguments(CaptionArguments):
    """A question, and perhaps the part of the picture that it is about."""

    question: Text = Field(
        description="A question about what can be seen, such as 'What colour is the ball?'."
    )
    region: Region | None = Field(
        default=None, description=f"Ask about this part of the picture alone: {_REGION}"
    )


class ReferArguments(CaptionArguments):
    """What to locate."""

    expression: Text = Field(
        description="Words that single one thing out, such as 'the dog on the left': no question."
    )


class DetectArguments(CaptionArguments):
    """What to find, as often as it is there."""

    phrase: Text = Field(
        description="A kind of thing, such as 'dogs', or a sentence whose things are all to be found."
    )


class GroundArguments(CaptionArguments):
    """How to describe the picture."""

    instruction: Text | None = Field(
        default=None, description="What to describe; leave it out for a description of the whole picture."
    )


class IdentifyArguments(CaptionArguments):
    """Which part of the picture to name."""

    region: Region = Field(description=_REGION)


__all__ = ["CaptionArguments", "DetectArguments", "GroundArguments", "IdentifyArguments"]
__all__ += ["LONGEST_REFERENCE", "LONGEST_TEXT", "ReferArguments", "Region", "VqaArguments"]

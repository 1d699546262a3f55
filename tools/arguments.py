"""The arguments of the tools; the descriptions are written for the calling model."""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.tools import InjectedToolArg
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from ..vlm.regions import read_corners

LONGEST_TEXT = 500
"""The maximum length of a question, a phrase or an instruction, in characters."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True)]
# Some models write a list as text.
NumbersInText = BeforeValidator(lambda given: read_corners(given) if isinstance(given, str) else given)
Region = Annotated[list[float], Field(min_length=4, max_length=4), NumbersInText]

_REGION = (
    "[x0, y0, x1, y1] in pixels of the image: left, top, right and bottom edge, "
    "the origin being the image's top left corner."
)


class NoArguments(BaseModel):
    """No arguments from the model.

    LangGraph injects the agent's state as `runtime`; tools read attached images from it.
    """

    model_config = ConfigDict(extra="forbid")

    # LangChain dumps the arguments to get their names; leave out the agent's entire state.
    runtime: Annotated[Any, InjectedToolArg(), PlainSerializer(lambda _: None)] = Field(
        default=None, repr=False
    )


class CaptionArguments(NoArguments):
    """The image and optional region; the arguments of the other image tools extend these."""

    image: Reference | None = Field(
        default=None, description="Path or id of the image; leave it out to use the current image."
    )
    region: Region | None = Field(
        default=None, description=f"Look at this part of the image alone: {_REGION}"
    )


class VqaArguments(CaptionArguments):
    """A question about the image, or about a region of it."""

    question: Text = Field(
        description="A question about what can be seen, such as 'What colour is the ball?'."
    )


class ReferArguments(CaptionArguments):
    """The referring expression to locate."""

    expression: Text = Field(
        description="Words that single one thing out, such as 'the dog on the left': no question."
    )


class DetectArguments(CaptionArguments):
    """What to detect."""

    phrase: Text = Field(
        description="A kind of thing, such as 'dogs', or a sentence whose things are all to be found."
    )


class GroundArguments(CaptionArguments):
    """How to describe the image."""

    instruction: Text | None = Field(
        default=None, description="What to describe; leave it out for a description of the whole image."
    )


class IdentifyArguments(CaptionArguments):
    """The region to name."""

    region: Region = Field(description=_REGION)

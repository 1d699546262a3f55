"""What a model fills in to call a tool; the descriptions are written for it."""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.tools import InjectedToolArg
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

LONGEST_TEXT = 500
"""Characters of a question, a phrase or an instruction."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True)]
Region = Annotated[list[float], Field(min_length=4, max_length=4)]

_REGION = (
    "[x0, y0, x1, y1] in pixels of the picture: left, top, right and bottom edge, "
    "the origin being the picture's top left corner."
)


class NoArguments(BaseModel):
    """Nothing that a model fills in.

    A LangGraph agent puts its state into whatever is called `runtime`: a tool sees the messages' pictures so.
    """

    model_config = ConfigDict(extra="forbid")

    # LangChain dumps the arguments for their names: an agent's whole state is nothing to dump.
    runtime: Annotated[Any, InjectedToolArg(), PlainSerializer(lambda _: None)] = Field(
        default=None, repr=False
    )


class CaptionArguments(NoArguments):
    """The picture, or a part of it; the arguments of every other tool that looks at one add to this."""

    image: Reference | None = Field(
        default=None, description="Path or id of the picture; leave it out to use the current picture."
    )
    region: Region | None = Field(
        default=None, description=f"Look at this part of the picture alone: {_REGION}"
    )


class VqaArguments(CaptionArguments):
    """A question, and perhaps the part of the picture that it is about."""

    question: Text = Field(
        description="A question about what can be seen, such as 'What colour is the ball?'."
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
__all__ += ["LONGEST_TEXT", "NoArguments", "ReferArguments", "VqaArguments"]

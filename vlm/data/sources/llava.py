"""LLaVA-Instruct-150K and other conversations in its format: a list of `id`, `image` and `conversations`.

The published files are `conversation_58k.json`, `detail_23k.json` and `complex_reasoning_77k.json`. The
multi-task conversations of MiniGPT-v2 use the format without `image`, and with task identifiers in the turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from ...tasks import split_identifier
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, json_rows
from .coco import image_2014

# Marks the image among the user's words; our prompts always put it first.
_PLACEHOLDER = "<image>"


class Message(Published):
    """One message, from `human` or `gpt`."""

    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class Conversation(Published):
    """One item of the list."""

    id: str | int
    image: str | None = None
    conversations: tuple[Message, ...]


@dataclass(frozen=True)
class Llava:
    """The conversations of one file; `pictures` is the folder of COCO's images."""

    path: Path
    pictures: Path

    def files(self) -> list[Path]:
        """Return the conversation file."""
        return [self.path]

    def rows(self) -> Iterator[Row]:
        """Yield the conversations."""
        return json_rows(self.path, "")

    def records(self, content: object) -> Iterator[Record]:
        """Return a conversation, turn by turn."""
        row = Conversation.model_validate(content)
        messages = row.conversations
        speakers = [message.speaker for message in messages]
        if not messages or speakers != ["human", "gpt"] * (len(messages) // 2):
            raise ValueError("conversations: human and gpt do not take turns, human first")
        turns = (_turn(*pair) for pair in zip(messages[::2], messages[1::2], strict=True))
        yield Record(self._image(row), tuple(turns))

    def _image(self, row: Conversation) -> ImageReference:
        if row.image is not None:
            return ImageReference(str(self.pictures / "train2017" / row.image))
        return image_2014(self.pictures, "train", int(row.id))


def _turn(question: Message, answer: Message) -> TaskTurn:
    task, words = split_identifier(question.value.replace(_PLACEHOLDER, " ").strip())
    return TaskTurn(task, "", answer.value.strip(), words=words)

"""LLaVA-Instruct-150K, and other conversations in its form: a list of `id`, `image` and `conversations`.

The published files are `conversation_58k.json`, `detail_23k.json` and `complex_reasoning_77k.json`. The mixed
multi-task conversations of MiniGPT-v2 have the same form without `image`, and task identifiers in the turns.
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

# Where the picture stands among a person's words; it always comes first here.
_PLACEHOLDER = "<image>"


class Message(Published):
    """One message: `from` is human or gpt."""

    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class Conversation(Published):
    """One item of the list."""

    id: str | int
    image: str | None = None
    conversations: tuple[Message, ...]


@dataclass(frozen=True)
class Llava:
    """The conversations of one file; `pictures` is the folder of COCO's pictures."""

    path: Path
    pictures: Path

    def files(self) -> list[Path]:
        """Return the file of conversations."""
        return [self.path]

    def rows(self) -> Iterator[Row]:
        """Yield the conversations."""
        return json_rows(self.path, "")

    def records(self, content: object) -> Iterator[Record]:
        """Return a conversation, turn by turn."""
        row = Conversation.model_validate(content)
        said = row.conversations
        speakers = [message.speaker for message in said]
        if not said or speakers != ["human", "gpt"] * (len(said) // 2):
            raise ValueError("conversations: human and gpt do not take turns, human first")
        turns = (_turn(*pair) for pair in zip(said[::2], said[1::2], strict=True))
        yield Record(self._picture(row), tuple(turns))

    def _picture(self, row: Conversation) -> ImageReference:
        if row.image is not None:
            return ImageReference(str(self.pictures / "train2017" / row.image))
        return image_2014(self.pictures, "train", int(row.id))


def _turn(question: Message, answer: Message) -> TaskTurn:
    task, words = split_identifier(question.value.replace(_PLACEHOLDER, " ").strip())
    return TaskTurn(task, "", answer.value.strip(), words=words)


__all__ = ["Llava"]

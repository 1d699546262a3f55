"""Messages with the plans that answer them: what the planning task is learnt from and measured on.

They lie in `planning/`, one JSON object a line; its README explains the labels. A family is the messages of
one pattern. Whole families and a whole writer are held out: none of their messages is ever trained on.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import DataError
from ..grounding import Box
from ..planning import (
    CHAT,
    REPLIES,
    PastStep,
    PastTurn,
    PlanContext,
    PlanPrompt,
    plan_prompt,
    plan_turn,
    write_plan,
)
from ..tasks import Task, Turn
from .instructions import Sample
from .shuffling import shuffled
from .streams import Draw

MESSAGES = Path(__file__).parent / "planning"

# One family in so many is held out.
_HELD_OUT_ONE_IN = 12
# All that this person wrote is held out.
_HELD_OUT_WRITER = "w9"
# How often a message is learnt in small letters without its last mark, and with two letters swapped.
_LOWERCASE_RATE, _TYPO_RATE = 0.2, 0.06
# Boxes typed in pixels are of a picture of this size.
_IMAGE_SIZE = (1280, 960)

Corners = tuple[int, int, int, int]
TaskName = Annotated[str, Field(pattern=f"^(?:{'|'.join([*Task, CHAT])})$")]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PastStepLine(_Line):
    """A step of an earlier turn."""

    task: TaskName
    argument: str = ""
    boxes: tuple[Corners, ...] = ()
    region: Corners | None = None


class PastTurnLine(_Line):
    """An earlier turn."""

    user: str
    steps: tuple[PastStepLine, ...]
    answer: str


class StepLine(_Line):
    """A step that is wanted; `ref` is the symbol of its box, or empty."""

    task: TaskName
    argument: str = ""
    ref: str = ""


class MessageLine(_Line):
    """One line of a file of messages."""

    kind: str
    writer: str
    family: str
    history: tuple[PastTurnLine, ...] = ()
    user: str
    region: Corners | None = None
    steps: Annotated[tuple[StepLine, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Message:
    """A message in its context, the steps that are wanted, and where it comes from.

    `reply` is what is said where the message, or a part of it, is free conversation.
    """

    line: MessageLine
    reply: str = REPLIES[-1]

    @property
    def context(self) -> PlanContext:
        """What came before, and the region drawn."""
        turns = tuple(
            PastTurn(turn.user, tuple(map(_past_step, turn.steps)), turn.answer) for turn in self.line.history
        )
        return PlanContext(turns, Box(*self.line.region) if self.line.region else None, _IMAGE_SIZE)

    @cached_property
    def prompt(self) -> PlanPrompt:
        """What the model reads."""
        return plan_prompt(self.line.user, self.context)

    @property
    def plan(self) -> str:
        """What the model is to write."""
        return write_plan(
            [
                (_task(step.task), self.reply if step.task == CHAT else step.argument, step.ref)
                for step in self.line.steps
            ]
        )

    @property
    def is_held_out(self) -> bool:
        """Whether the message is measured on, and never trained on."""
        digest = hashlib.blake2b(self.line.family.encode(), digest_size=8).digest()
        return self.line.writer == _HELD_OUT_WRITER or int.from_bytes(digest) % _HELD_OUT_ONE_IN == 0

    def turn(self, random_: random.Random) -> Turn:
        """Return the exchange to learn: now and then in small letters, or with a slip of the fingers."""
        plan = self.plan
        message = self.line.user
        if random_.random() < _LOWERCASE_RATE:
            message, plan = message.lower().rstrip(".?! "), _lowered(plan, list(self.prompt.symbols))
        if random_.random() < _TYPO_RATE:
            message = _with_typo(message, random_)
        return plan_turn(plan_prompt(message, self.context), plan)


def read_messages(folder: Path = MESSAGES, *, held_out: bool) -> list[Message]:
    """Return the messages to measure on, or else those to learn from.

    Raises:
        DataError: there are none, or a line is not in the promised form (it is named).
    """
    messages = [message for message in _read_all(folder) if message.is_held_out == held_out]
    if not messages:
        raise DataError(f"no messages in {folder}: install assistant again, or name another folder")
    return messages


def _read_all(folder: Path) -> Iterator[Message]:
    replies = _replies(folder / "replies.json")
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _message(line, f"{path}, line {number}", replies)


def _replies(path: Path) -> dict[str, str]:
    """Return what is said to the families of messages that are free conversation; others cannot be served."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return {family: reply for reply, families in listed.items() for family in families}


def _message(line: str, where: str, replies: dict[str, str]) -> Message:
    try:
        read = MessageLine.model_validate_json(line)
        message = Message(read, replies.get(read.family, REPLIES[-1]))
        symbols = message.prompt.symbols
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    for step in message.line.steps:
        if step.ref and step.ref not in symbols:
            known = ", ".join(symbols) or "none"
            raise DataError(f"{where}: there is no box {step.ref!r}, the boxes are: {known}")
        if step.task == Task.IDENTIFY and not step.ref:
            raise DataError(f"{where}: [identify] needs a box: give its ref")
    return message


class MessageStream:
    """Messages in shuffled order, some in one example; none has a picture.

    Every message has one place in each pass of as many as there are.
    """

    crops = False

    def __init__(self, messages: list[Message], per_example: int) -> None:
        self.messages = messages
        self.per_example = per_example

    def draw(self, index: int, seed: int) -> Draw:
        """Return the messages of the example at an index, always the same for the same seed."""
        random_ = random.Random(f"{seed}:{index}")
        places = range(index * self.per_example, (index + 1) * self.per_example)
        chosen = [self.messages[shuffled(place, len(self.messages), seed)] for place in places]
        return Draw(None, [Sample(None, message.turn(random_)) for message in chosen])

    def references(self) -> list[tuple[str, ...]]:
        """Return nothing: there are no pictures."""
        return []


def _task(name: str) -> Task | None:
    return None if name == CHAT else Task(name)


def _past_step(step: PastStepLine) -> PastStep:
    boxes = tuple(Box(*corners) for corners in step.boxes)
    return PastStep(_task(step.task), step.argument, boxes, Box(*step.region) if step.region else None)


def _lowered(plan: str, symbols: list[str]) -> str:
    return " ".join(word if word in symbols else word.lower() for word in plan.split(" "))


def _with_typo(message: str, random_: random.Random) -> str:
    """Return a message with two neighbouring letters of one of its longer words swapped."""
    words = message.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha() and word.isascii()]
    if not long or '"' in message:
        return message
    place = random_.choice(long)
    word, cut = words[place], random_.randrange(1, len(words[place]) - 2)
    words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


__all__ = ["MESSAGES", "Message", "MessageLine", "MessageStream", "read_messages"]

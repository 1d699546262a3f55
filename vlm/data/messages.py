"""Read messages with their plans, the data that trains and measures the planning task.

They are in `planning/`, one JSON object per line; its README explains the labels. A family holds the messages
of one pattern. Some families, and all messages of one writer, are held out from training.
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

from pydantic import BaseModel, ConfigDict, Field

from ..errors import DataError
from ..grounding import Box
from ..planning import (
    REPLIES,
    PastStep,
    PastTurn,
    PlanContext,
    PlanPrompt,
    plan_prompt,
    plan_turn,
    write_plan,
)
from ..tasks import CHAT, Task, Turn
from .instructions import Sample
from .shuffling import shuffled
from .sources.base import line_rows, parse_row
from .streams import Draw, Stream

MESSAGES = Path(__file__).parent / "planning"

# One in this many families is held out.
_HELD_OUT_ONE_IN = 12
# Everything by this writer is held out.
_HELD_OUT_WRITER = "w9"
# How often to lower the case of a message and drop its final punctuation, and to swap two letters.
_LOWERCASE_RATE, _TYPO_RATE = 0.2, 0.06
# The image size that boxes typed in pixels refer to.
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
    """A step of the wanted plan; `ref` is the symbol of its box, or empty."""

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
    """A message with its context, the wanted steps, and its origin.

    `reply` is the answer to free conversation in the message.
    """

    line: MessageLine
    reply: str = REPLIES[-1]

    @property
    def context(self) -> PlanContext:
        """The earlier turns and the drawn region."""
        turns = tuple(
            PastTurn(turn.user, tuple(map(_past_step, turn.steps)), turn.answer) for turn in self.line.history
        )
        return PlanContext(turns, Box(*self.line.region) if self.line.region else None, _IMAGE_SIZE)

    @cached_property
    def prompt(self) -> PlanPrompt:
        """The prompt."""
        return plan_prompt(self.line.user, self.context)

    @property
    def plan(self) -> str:
        """The plan that the model should write."""
        return write_plan(
            [
                (_task(step.task), self.reply if step.task == CHAT else step.argument, step.ref)
                for step in self.line.steps
            ]
        )

    @property
    def is_held_out(self) -> bool:
        """Whether the message is held out from training, for evaluation."""
        digest = hashlib.blake2b(self.line.family.encode(), digest_size=8).digest()
        return self.line.writer == _HELD_OUT_WRITER or int.from_bytes(digest) % _HELD_OUT_ONE_IN == 0

    def turn(self, random_: random.Random) -> Turn:
        """Return the turn to train on, sometimes in lower case or with a typo."""
        plan = self.plan
        message = self.line.user
        if random_.random() < _LOWERCASE_RATE:
            message, plan = message.lower().rstrip(".?! "), _lowered(plan, list(self.prompt.symbols))
        if random_.random() < _TYPO_RATE:
            message = _with_typo(message, random_)
        return plan_turn(plan_prompt(message, self.context), plan)


def read_messages(folder: Path = MESSAGES, *, held_out: bool) -> list[Message]:
    """Return the held-out messages, or those to train on.

    Raises:
        DataError: there are none, or a line is invalid (the error names it).
    """
    messages = [message for message in _read_all(folder) if message.is_held_out == held_out]
    if not messages:
        raise DataError(f"no messages in {folder}: install assistant again, or name another folder")
    return messages


def _read_all(folder: Path) -> Iterator[Message]:
    replies = _replies(folder / "replies.json")

    def read(line: bytes) -> Iterator[Message]:
        if line.strip():
            content = MessageLine.model_validate_json(line)
            yield _checked(Message(content, replies.get(content.family, REPLIES[-1])))

    for path in sorted(folder.glob("*.jsonl")):
        for row in line_rows(path):
            yield from parse_row(row, read)


def _replies(path: Path) -> dict[str, str]:
    """Return the reply to each family of free conversation; other families cannot be served."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return {family: reply for reply, families in listed.items() for family in families}


def _checked(message: Message) -> Message:
    symbols = message.prompt.symbols
    for step in message.line.steps:
        if step.ref and step.ref not in symbols:
            raise ValueError(f"there is no box {step.ref!r}, the boxes are: {', '.join(symbols) or 'none'}")
        if step.task == Task.IDENTIFY and not step.ref:
            raise ValueError("[identify] needs a box: give its ref")
    return message


class MessageStream(Stream):
    """Messages in shuffled order, several per example, without images.

    Every pass draws each message once.
    """

    def __init__(self, messages: list[Message], per_example: int) -> None:
        self.messages = messages
        self.per_example = per_example

    def draw(self, index: int, seed: int) -> Draw:
        """Return the messages of the example at an index, always the same for the same seed."""
        random_ = random.Random(f"{seed}:{index}")
        places = range(index * self.per_example, (index + 1) * self.per_example)
        chosen = [self.messages[shuffled(place, len(self.messages), seed)] for place in places]
        return Draw(None, [Sample(None, message.turn(random_)) for message in chosen])


def _task(name: str) -> Task | None:
    return None if name == CHAT else Task(name)


def _past_step(step: PastStepLine) -> PastStep:
    boxes = tuple(Box(*corners) for corners in step.boxes)
    return PastStep(_task(step.task), step.argument, boxes, Box(*step.region) if step.region else None)


def _lowered(plan: str, symbols: list[str]) -> str:
    return " ".join(word if word in symbols else word.lower() for word in plan.split(" "))


def _with_typo(message: str, random_: random.Random) -> str:
    """Swap two neighbouring letters in one of the longer words."""
    words = message.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha() and word.isascii()]
    if not long or '"' in message:
        return message
    place = random_.choice(long)
    word, cut = words[place], random_.randrange(1, len(words[place]) - 2)
    words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)

"""What a dialect is: data, a function that puts a request into words, and one that reads the answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...answers import Request
from ...grounding import Box, parse
from ...tasks import ABSENT_ANSWER, Task, split_identifier

Size = tuple[int, int]
"""Width and height in pixels of a picture as it is sent."""

# Other models spend more tokens on a box than ours, and some think aloud first.
_MAX_TOKENS: dict[Task | None, int] = {
    Task.CAPTION: 256,
    Task.VQA: 256,
    Task.REFER: 512,
    Task.DETECTION: 2048,
    Task.GROUNDING: 2048,
    Task.IDENTIFY: 256,
    None: 1024,
}
BOX_TASKS = (Task.REFER, Task.DETECTION, Task.GROUNDING)
"""The tasks whose answers have boxes."""


@dataclass(frozen=True)
class Found:
    """A box that a model wrote, its label (may be empty), and the characters `start:end` that spell it.

    A model that names its own confidence is not believed: `box` comes without a score.
    """

    label: str
    box: Box
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Reading:
    """An answer as read: what was found, in the order written, and the words without markup.

    `words` hold each label of a grounded description in its place, as far as the model wrote them so.
    """

    words: str
    found: tuple[Found, ...] = ()


Post = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Sends JSON to a path below the server's address, and returns the JSON that comes back."""


def within(side: int, *, multiple_of: int = 1, pixels: int | None = None) -> Callable[[Size], Size]:
    """Return what gives the size to send a picture in: at most `side` pixels long, never enlarged for it.

    Both sides are made multiples of `multiple_of`, at least one of it, and their product at most `pixels`.
    """

    def scaled(size: Size) -> Size:
        scale = min(1.0, side / max(size))
        if pixels is not None:
            scale = min(scale, (pixels / (size[0] * size[1])) ** 0.5)
        width, height = (max(int(length * scale / multiple_of), 1) * multiple_of for length in size)
        return width, height

    return scaled


@dataclass(frozen=True)
class Dialect:
    """How the models of a family are asked, and how they write boxes.

    `served_as` matches the names that they are served by. `ask` returns the words for a request about a
    picture sent in a size; it raises an `AssistantError` for a task that the family has no form for. `read`
    reads the whole answer, or its beginning, and never raises. `sizes` gives the size to send a picture in.
    `schema` gives a JSON schema to hold the answer to where the server can. `extras` are sent along, to be
    left out where the server refuses them. `zooms` says that small referents gain from a second look in crops
    (see `ZoomRefiner`). `post` takes the place of the chat API where a family has its own.
    """

    name: str
    served_as: re.Pattern[str]
    ask: Callable[[Request, Size], str]
    read: Callable[[Request, str, Size], Reading]
    sizes: Callable[[Size], Size]
    schema: Callable[[Request], dict[str, Any] | None] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    zooms: bool = False
    post: Callable[[Request, str, Post], Awaitable[Reading]] | None = None

    def max_tokens(self, request: Request) -> int:
        """Return the most tokens that the answer may have."""
        return request.max_new_tokens if self.zooms else _MAX_TOKENS[request.task]

    def earlier(self, request: Request) -> list[tuple[str, str]]:
        """Return what was said before: questions without our identifiers, answers without our markup."""
        if self.zooms:
            return [(turn.user, turn.answer or "") for turn in request.history]
        return [
            (split_identifier(turn.user)[1], parse(turn.answer or "").text.strip())
            for turn in request.history
        ]


# --- putting requests into words -------------------------------------------------------------------------


def asked_for(request: Request) -> str:
    """Return the argument in one line.

    Raises:
        ValueError: the task lacks the argument or the region that it cannot do without.
    """
    assert request.turns  # says what is missing, as for our own model
    return " ".join(request.argument.split())


def in_plain_words(request: Request, region: str) -> str:
    """Return the question of a task whose answer has no boxes; `region` is as the family writes it."""
    argument = asked_for(request)
    match request.task:
        case Task.CAPTION:
            return "Describe the image in one short sentence."
        case Task.VQA:
            return f"{argument}\nAnswer with a word or a short phrase."
        case Task.IDENTIFY:
            return f"What is in the region {region}? Answer with a short noun phrase, without coordinates."
        case _:
            return argument


# --- reading answers -------------------------------------------------------------------------------------

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)|\A(?:(?!<think>).)*?</think>", re.DOTALL)
_FENCE = re.compile(r"```\w{0,12}")
_SPECIAL = re.compile(r"</?s>|<pad>|<\|im_(?:start|end)\|>|<\|?(?:end_of_turn|endoftext|eot_id)\|?>")
_DENIALS = re.compile(
    r"\b(?:none|no|not|null|nothing|nowhere|absent|cannot|unable|without)\b|n['\u2019]t\b", re.IGNORECASE
)
_LONGEST_DENIAL = 300


def without_thoughts(text: str) -> str:
    """Return the text with what the model only thought blanked out, so that places in it stay the same."""
    return _THOUGHTS.sub(lambda match: " " * len(match[0]), text)


def plain(text: str) -> str:
    """Return text without control tokens and fences, and without what our own markup would be taken for."""
    words = parse(_SPECIAL.sub(" ", _FENCE.sub(" ", text))).text
    return words.replace("{<", "(").replace("<p>", "").replace("</p>", "").replace("<delim>", "").strip()


def answered(request: Request, words: str, found: tuple[Found, ...]) -> Reading:
    """Return the reading of an answer in words; one that denies that the thing is there, as our model does.

    Words that neither hold a box nor deny one are left as they are, to be told for what they are.
    """
    if found or request.task not in (Task.REFER, Task.DETECTION):
        return Reading(words, found)
    denied = len(words) <= _LONGEST_DENIAL and (_DENIALS.search(words) or not re.search(r"\w", words))
    return Reading(ABSENT_ANSWER if words and denied else words)


def to_box(corners: tuple[float, float, float, float], size: tuple[float, float]) -> Box | None:
    """Return the box of `(x0, y0, x1, y1)` on a scale of `size`, in any corner order, cut to the picture.

    None for one without extent, which some models write for nothing, and for one wholly outside.
    """
    x0, y0, x1, y1 = (value / size[index % 2] for index, value in enumerate(corners))
    (x0, x1), (y0, y1) = sorted((x0, x1)), sorted((y0, y1))
    if x0 == x1 or y0 == y1 or x1 < 0 or y1 < 0 or x0 > 1 or y0 > 1:
        return None
    return Box.from_fractions(*(value + _WHISKER for value in (x0, y0, x1, y1)))


# Bins are cut off, not rounded: without this, floating point would make 28 hundredths of 290 thousandths.
_WHISKER = 1e-9


__all__ = ["BOX_TASKS", "Dialect", "Found", "Post", "Reading", "Size", "answered", "asked_for"]
__all__ += ["in_plain_words", "plain", "to_box", "within", "without_thoughts"]

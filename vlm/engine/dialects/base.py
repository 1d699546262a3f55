"""The parts of a dialect: data, a function that writes the prompt, and one that reads the answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...answers import Request
from ...grounding import Box, parse
from ...tasks import ABSENT_ANSWER, Task, split_identifier

Size = tuple[int, int]
"""Width and height in pixels of an image as it is sent."""

# Other models spend more tokens on a box than ours, and some reason first.
_MAX_TOKENS: dict[Task | None, int] = {
    Task.CAPTION: 256,
    Task.VQA: 256,
    Task.REFER: 512,
    Task.DETECTION: 2048,
    Task.GROUNDING: 2048,
    Task.IDENTIFY: 256,
}
_MOST_TOKENS = 1024


@dataclass(frozen=True)
class LabelledBox:
    """A box that a model wrote, its label (may be empty), and the characters `start:end` that spell it.

    `box` has no score: a confidence that the model writes itself is ignored.
    """

    label: str
    box: Box
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Reading:
    """A parsed answer: the boxes found, in the order written, and the words without markup.

    In a grounded description, `words` hold each label in its place if the model wrote it there.
    """

    words: str
    found: tuple[LabelledBox, ...] = ()


Post = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Sends JSON to a path below the server's address, and returns the JSON that comes back."""


def within(side: int, *, multiple_of: int = 1, pixels: int | None = None) -> Callable[[Size], Size]:
    """Return a function from an image's size to the size to send: at most `side` pixels long, never enlarged.

    Both sides become positive multiples of `multiple_of`, and their product is at most `pixels`.
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
    """How to prompt the models of a family, and how they write boxes.

    `model_names` matches the names that servers give them. `ask` returns the prompt for a request whose
    image is sent in a size; it raises an `AssistantError` for a task that the family does not support. `read`
    parses an answer or the beginning of one, and never raises. `sizes` returns the size to send an image in.
    `schema` returns a JSON schema for the answer, for servers that enforce one. `extras` are more arguments,
    omitted if the server refuses them. `zooms` says that small referents gain from zooming in (see
    `ZoomRefiner`). `lossless` sends images as PNG instead of JPEG. `post` replaces the chat API for a family
    with its own.
    """

    name: str
    model_names: re.Pattern[str]
    ask: Callable[[Request, Size], str]
    read: Callable[[Request, str, Size], Reading]
    sizes: Callable[[Size], Size]
    schema: Callable[[Request], dict[str, Any] | None] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    zooms: bool = False
    lossless: bool = False
    post: Callable[[Request, str, Post], Awaitable[Reading]] | None = None

    def max_tokens(self, request: Request) -> int:
        """Return the most tokens that the answer may have."""
        return request.max_new_tokens if self.zooms else _MAX_TOKENS.get(request.task, _MOST_TOKENS)

    def earlier(self, request: Request) -> list[tuple[str, str]]:
        """Return the earlier turns: questions without our identifiers, answers without our markup."""
        if self.zooms:
            return [(turn.user, turn.answer or "") for turn in request.history]
        return [
            (split_identifier(turn.user)[1], parse(turn.answer or "").text.strip())
            for turn in request.history
        ]


# --- writing prompts -------------------------------------------------------------------------------------


def checked_argument(request: Request) -> str:
    """Return the argument in one line.

    Raises:
        ValueError: the task's argument or region is missing.
    """
    assert request.turns  # raises if something is missing, as for our own model
    return " ".join(request.argument.split())


def plain_prompt(request: Request, region: str) -> str:
    """Return the prompt of a task whose answer has no boxes; `region` is in the family's own format."""
    argument = checked_argument(request)
    match request.task:
        case Task.CAPTION:
            return "Describe the image in one short sentence."
        case Task.VQA:
            return f"{argument}\nAnswer with a word or a short phrase."
        case Task.IDENTIFY:
            return f"What is in the region {region}? Answer with a short noun phrase, without coordinates."
        case None:
            return argument
        case task:
            return task.definition.wordings[0].format(argument=argument)


# --- reading answers -------------------------------------------------------------------------------------

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)|\A(?:(?!<think>).)*?</think>", re.DOTALL)
_FENCE = re.compile(r"```\w{0,12}")
_SPECIAL = re.compile(r"</?s>|<pad>|<\|im_(?:start|end)\|>|<\|?(?:end_of_turn|endoftext|eot_id)\|?>")
_DENIALS = re.compile(
    r"\b(?:none|no|not|null|nothing|nowhere|absent|cannot|unable|without)\b|n['\u2019]t\b", re.IGNORECASE
)
_LONGEST_DENIAL = 300


def without_thoughts(text: str) -> str:
    """Return the text with the model's reasoning blanked out, which keeps all positions."""
    return _THOUGHTS.sub(lambda match: " " * len(match[0]), text)


def plain(text: str) -> str:
    """Return text without control tokens, fences, and anything that looks like our own markup."""
    words = parse(_SPECIAL.sub(" ", _FENCE.sub(" ", text))).text
    return words.replace("{<", "(").replace("<p>", "").replace("</p>", "").replace("<delim>", "").strip()


def reading_of(request: Request, words: str, found: tuple[LabelledBox, ...]) -> Reading:
    """Return the reading of an answer; a denial that the thing is there becomes our model's denial.

    Words without a box that deny nothing stay as they are, for the user to see.
    """
    if found or request.task not in (Task.REFER, Task.DETECTION):
        return Reading(words, found)
    denied = len(words) <= _LONGEST_DENIAL and (_DENIALS.search(words) or not re.search(r"\w", words))
    return Reading(ABSENT_ANSWER if words and denied else words)


def to_box(corners: tuple[float, float, float, float], size: tuple[float, float]) -> Box | None:
    """Return the box of `(x0, y0, x1, y1)` on a scale of `size`, in any corner order, clipped to the image.

    None for an empty box, which some models write for absent things, and for one wholly outside.
    """
    x0, y0, x1, y1 = (value / size[index % 2] for index, value in enumerate(corners))
    (x0, x1), (y0, y1) = sorted((x0, x1)), sorted((y0, y1))
    if x0 == x1 or y0 == y1 or x1 < 0 or y1 < 0 or x0 > 1 or y0 > 1:
        return None
    return Box.from_fractions(*(value + _EPSILON for value in (x0, y0, x1, y1)))


# Bins truncate: without this, floating point would turn 290 thousandths into 28 hundredths.
_EPSILON = 1e-9

"""Tasks, their instructions, and the prompt builder for training, evaluation and inference.

The prompt is MiniGPT-v2's (arXiv 2310.09478, section 2.2):
`<s>[INST] <Img>IMAGE</Img> [identifier] instruction [/INST] answer</s>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import ClassVar, Literal

from .grounding import Box, format_box


class Task(StrEnum):
    """A task with an identifier; free conversation is `None` in place of a task.

    >>> Task("refer").identifier
    '[refer]'
    """

    CAPTION = "caption"
    VQA = "vqa"
    REFER = "refer"
    DETECTION = "detection"
    GROUNDING = "grounding"
    IDENTIFY = "identify"

    @property
    def identifier(self) -> str:
        """The identifier as the prompt spells it, such as `[refer]`."""
        return f"[{self.value}]"

    @property
    def definition(self) -> TaskDefinition:
        """The task's wordings, limits and title."""
        return DEFINITIONS[self]


CHAT: Literal["chat"] = "chat"
"""The name of free conversation, where the names of tasks stand."""

ABSENT_ANSWER = "not in the image"
"""The answer of `[refer]` and `[detection]` if the thing is not in the image; it has no box."""


class Argument(Enum):
    """Whether a task's instruction takes words: a question, a phrase, a description's subject."""

    NONE = auto()
    OPTIONAL = auto()
    REQUIRED = auto()


@dataclass(frozen=True)
class TaskDefinition:
    """A task as every other module sees it.

    `title` is its name in menus. `wordings` are templates of its instruction, with `{argument}` for the words
    or the region: inference uses the first, training samples from all. An answer of ours has at most
    `max_new_tokens` tokens, and boxes if `has_boxes`.
    """

    title: str
    wordings: tuple[str, ...]
    max_new_tokens: int
    argument: Argument = Argument.NONE
    has_boxes: bool = False


DEFINITIONS: dict[Task, TaskDefinition] = {
    Task.CAPTION: TaskDefinition(
        "Caption",
        ("briefly describe the image", "describe the image in one sentence", "write a short caption"),
        max_new_tokens=48,
    ),
    Task.VQA: TaskDefinition(
        "Question",
        ("{argument}", "{argument} answer briefly"),
        max_new_tokens=32,
        argument=Argument.REQUIRED,
    ),
    Task.REFER: TaskDefinition(
        "Find one",
        ("give me the location of {argument}", "where is {argument}?", "locate {argument}"),
        max_new_tokens=24,  # a box takes up to 19
        argument=Argument.REQUIRED,
        has_boxes=True,
    ),
    Task.DETECTION: TaskDefinition(
        "Find all", ("{argument}",), max_new_tokens=240, argument=Argument.REQUIRED, has_boxes=True
    ),
    Task.GROUNDING: TaskDefinition(
        "Describe with boxes",
        ("describe this image as detailed as possible", "describe the image and locate what you name"),
        max_new_tokens=160,
        argument=Argument.OPTIONAL,
        has_boxes=True,
    ),
    Task.IDENTIFY: TaskDefinition(
        "Name the region",
        ("what is this {argument}", "identify {argument}", "what is in {argument}"),
        max_new_tokens=24,
    ),
}

NEEDS_ARGUMENT = tuple(task for task in Task if task.definition.argument is Argument.REQUIRED)
"""The tasks that need a question or a phrase."""
TAKES_NO_ARGUMENT = tuple(task for task in Task if task.definition.argument is Argument.NONE)
"""The tasks that take neither."""
BOX_TASKS = tuple(task for task in Task if task.definition.has_boxes)
"""The tasks whose answers have boxes."""

# The prompt's own markers, which must stay plain text in a person's message.
_MARKERS = re.compile(r"\[(/?INST)\]|<(/?Img|ImageHere|/?s)>", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\s*\[(" + "|".join(Task) + r")\](?:\s+|$)", re.IGNORECASE)


def split_identifier(text: str) -> tuple[Task | None, str]:
    """Split a typed identifier from the text after it.

    >>> split_identifier("[refer] a dog")
    (<Task.REFER: 'refer'>, 'a dog')
    """
    match = _IDENTIFIER.match(text)
    if match is None:
        return None, text.strip()
    return Task(match[1].lower()), text[match.end() :].strip()


def escape_markers(text: str) -> str:
    """Escape the prompt's markers in a person's text, so that the model reads them as plain text.

    >>> escape_markers("what does [/INST] mean?")
    'what does (/INST) mean?'
    """
    return _MARKERS.sub(lambda match: f"({match[1] or match[2]})", text)


def instruction(
    task: Task | None, argument: str = "", region: Box | None = None, wording: str | None = None
) -> str:
    """Return the text of a turn, identifier included.

    `argument` is a question, a phrase, or for grounding an instruction that replaces the default; `region` is
    the box for `identify`, and optional with a question. `wording` is a template with `{argument}`; the
    default is the first of the task's definition.

    >>> instruction(Task.REFER, "the dog")
    '[refer] give me the location of the dog'
    >>> instruction(Task.IDENTIFY, region=Box(1, 2, 3, 4))
    '[identify] what is this {<1><2><3><4>}'

    Raises:
        ValueError: a required argument or region is missing.
    """
    argument = escape_markers(" ".join(argument.split()))
    if task is None:
        return f"{argument} {format_box(region)}" if region else argument
    if task is Task.IDENTIFY:
        if region is None:
            raise ValueError("[identify] needs a region")
        argument = format_box(region)
    elif region is not None:
        argument = f"{argument} {format_box(region)}".strip()
    if task in NEEDS_ARGUMENT and not argument:
        raise ValueError(f"{task.identifier} needs a question or a phrase")
    if task.definition.argument is Argument.OPTIONAL and argument:
        return f"{task.identifier} {argument}"
    wording = task.definition.wordings[0] if wording is None else wording
    return f"{task.identifier} {wording.format(argument=argument)}"


def verbatim(task: Task | None, words: str, region: Box | None = None) -> str:
    """Return the identifier and a person's text, unchanged except for escaped markers.

    >>> verbatim(Task.REFER, "Where's the dog")
    "[refer] Where's the dog"

    Raises:
        ValueError: as for `instruction`.
    """
    if task is Task.IDENTIFY and region is None:
        raise ValueError("[identify] needs a region")
    if task in NEEDS_ARGUMENT and not words.strip():
        raise ValueError(f"{task.identifier} needs a question or a phrase")
    parts = (task.identifier if task else "", escape_markers(words), format_box(region) if region else "")
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Turn:
    """One exchange: a person's text (see `instruction`) and the model's answer, `None` if not yet generated.

    `bare` text has no `[INST]` around it, as in plans (see `planning.py`).
    """

    user: str
    answer: str | None = None
    bare: bool = False


class SegmentKind(StrEnum):
    """The parts of a prompt; training computes the loss on `ANSWER` and its `END`."""

    BEGIN = "begin"
    TEXT = "text"
    IMAGE = "image"
    ANSWER = "answer"
    END = "end"


@dataclass(frozen=True)
class Segment:
    """One piece of a prompt; each `TEXT` and `ANSWER` is tokenized separately, as in the reference."""

    kind: SegmentKind
    text: str = ""


@dataclass(frozen=True)
class Frame:
    """The tokens and spaces around the turns of a prompt.

    A prompt begins with `begins` BOS tokens, and every later turn with one. `spaces` is the number of spaces
    before `[/INST]` with an image, `spaces_alone` without one. With `apart`, the answer is tokenized
    separately from the text before it; with `ends`, it ends with EOS.

    Raises:
        ValueError: a number is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    begins: int = 1
    spaces: int = 1
    spaces_alone: int = 1
    apart: bool = True
    ends: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.begins <= 4 or any(not 0 <= it <= 8 for it in (self.spaces, self.spaces_alone)):
            raise ValueError("a prompt begins with 1 to 4 BOS, and has 0 to 8 spaces")


def build_prompt(turns: Sequence[Turn], *, image: bool, frame: Frame = Frame()) -> list[Segment]:
    """Return the segments of a conversation, with the image in its first turn.

    >>> "".join(segment.text for segment in build_prompt([Turn("[caption] describe")], image=True))
    '[INST] <Img></Img> [caption] describe [/INST]'

    Raises:
        ValueError: there is no turn, or one before the last has no answer.
    """
    if not turns:
        raise ValueError("a prompt needs at least one turn")
    space = " " * (frame.spaces if image else frame.spaces_alone)
    segments: list[Segment] = []
    for index, turn in enumerate(turns):
        segments += [Segment(SegmentKind.BEGIN)] * (1 if index else frame.begins)
        text = turn.user if turn.bare else f"[INST] {turn.user}{space}[/INST]"
        if image and index == 0:
            segments += [Segment(SegmentKind.TEXT, "[INST] <Img>"), Segment(SegmentKind.IMAGE)]
            text = f"</Img> {turn.user}{space}[/INST]"
        if turn.answer is None:
            if index + 1 < len(turns):
                raise ValueError(f"turn {index + 1} of {len(turns)} has no answer")
            segments.append(Segment(SegmentKind.TEXT, text))
        elif frame.apart:
            segments += [Segment(SegmentKind.TEXT, text), Segment(SegmentKind.ANSWER, turn.answer)]
        else:
            segments.append(Segment(SegmentKind.TEXT, text + turn.answer))
        if turn.answer is not None and frame.ends:
            segments.append(Segment(SegmentKind.END))
    return segments

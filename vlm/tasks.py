"""Tasks, their instructions, and the one prompt builder of training, evaluation and inference.

The prompt is MiniGPT-v2's (arXiv 2310.09478, section 2.2):
`<s>[INST] <Img>IMAGE</Img> [identifier] instruction [/INST] answer</s>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .grounding import Box, format_box


class Task(StrEnum):
    """A task that has an identifier of its own; free conversation is `None` wherever a task is asked for."""

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


ABSENT_ANSWER = "not in the image"
"""What `[refer]` and `[detection]` answer when nothing of the kind is there: words without a box."""

# The first wording of each task is the one used at inference; training draws from all of them.
INSTRUCTIONS: dict[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "briefly describe the image",
        "describe the image in one sentence",
        "write a short caption",
    ),
    Task.VQA: (
        "{argument}",
        "{argument} answer briefly",
    ),
    Task.REFER: (
        "give me the location of {argument}",
        "where is {argument}?",
        "locate {argument}",
    ),
    Task.DETECTION: ("{argument}",),
    Task.GROUNDING: (
        "describe this image as detailed as possible",
        "describe the image and locate what you name",
    ),
    Task.IDENTIFY: (
        "what is this {argument}",
        "identify {argument}",
        "what is in {argument}",
    ),
}

# What a prompt's own markers look like; text that merely contains one must stay text.
_MARKERS = re.compile(r"\[(/?INST)\]|<(/?Img|ImageHere|/?s)>", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\s*\[(" + "|".join(Task) + r")\](?:\s+|$)", re.IGNORECASE)


def split_identifier(text: str) -> tuple[Task | None, str]:
    """Split a typed identifier from the text behind it: `"[refer] a dog"` -> `(Task.REFER, "a dog")`."""
    match = _IDENTIFIER.match(text)
    if match is None:
        return None, text.strip()
    return Task(match[1].lower()), text[match.end() :].strip()


def defuse(text: str) -> str:
    """Return a person's text with the prompt's own markers broken, so that the model reads them as words."""
    return _MARKERS.sub(lambda match: f"({match[1] or match[2]})", text)


def instruction(task: Task | None, argument: str = "", region: Box | None = None, wording: int = 0) -> str:
    """Return the words of a turn, identifier included.

    `argument` is a question, a phrase, or for grounding an instruction in place of the default; `region`
    is the box that `identify` asks about, and may accompany a question too. `wording` picks one of
    `INSTRUCTIONS`.

    Raises:
        ValueError: the task lacks the argument or the region that it cannot do without.
    """
    argument = defuse(" ".join(argument.split()))
    if task is None:
        return f"{argument} {format_box(region)}" if region else argument
    if task is Task.IDENTIFY:
        if region is None:
            raise ValueError("[identify] needs a region")
        argument = format_box(region)
    elif region is not None:
        argument = f"{argument} {format_box(region)}".strip()
    if task in (Task.VQA, Task.REFER, Task.DETECTION) and not argument:
        raise ValueError(f"{task.identifier} needs a question or a phrase")
    if task is Task.GROUNDING and argument:
        return f"{task.identifier} {argument}"
    return f"{task.identifier} {INSTRUCTIONS[task][wording].format(argument=argument)}"


@dataclass(frozen=True)
class Turn:
    """One exchange: a person's words (see `instruction`) and the model's answer, `None` when it is wanted.

    `bare` words stand in the prompt as they are, without `[INST]`: a plan's (see `planning.py`).
    """

    user: str
    answer: str | None = None
    bare: bool = False


class SegmentKind(StrEnum):
    """What a prompt is made of; `ANSWER` and the `END` behind it are what training learns."""

    BEGIN = "begin"
    TEXT = "text"
    IMAGE = "image"
    ANSWER = "answer"
    END = "end"


@dataclass(frozen=True)
class Segment:
    """One piece of a prompt; each `TEXT` and `ANSWER` is tokenized by itself, as the reference does."""

    kind: SegmentKind
    text: str = ""


def build_prompt(turns: Sequence[Turn], *, image: bool) -> list[Segment]:
    """Return the segments of a conversation, the image standing in its first turn.

    Every turn opens with exactly one BEGIN (BOS) and every answer closes with one END (EOS), as in the
    reference's training; its inference has a second BOS, which is a mistake that we do not copy.

    Raises:
        ValueError: there is no turn, or one before the last has no answer.
    """
    if not turns:
        raise ValueError("a prompt needs at least one turn")
    segments: list[Segment] = []
    for index, turn in enumerate(turns):
        segments.append(Segment(SegmentKind.BEGIN))
        if image and index == 0:
            segments += [
                Segment(SegmentKind.TEXT, "[INST] <Img>"),
                Segment(SegmentKind.IMAGE),
                Segment(SegmentKind.TEXT, f"</Img> {turn.user} [/INST]"),
            ]
        else:
            text = turn.user if turn.bare else f"[INST] {turn.user} [/INST]"
            segments.append(Segment(SegmentKind.TEXT, text))
        if turn.answer is not None:
            segments += [Segment(SegmentKind.ANSWER, turn.answer), Segment(SegmentKind.END)]
        elif index + 1 < len(turns):
            raise ValueError(f"turn {index + 1} of {len(turns)} has no answer")
    return segments


__all__ = [
    "ABSENT_ANSWER",
    "INSTRUCTIONS",
    "Segment",
    "SegmentKind",
    "Task",
    "Turn",
    "build_prompt",
    "defuse",
    "instruction",
]
__all__ += ["split_identifier"]

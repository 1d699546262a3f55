"""Plans as the language model reads and writes them: one form for training, evaluation and inference.

A message and what came before it are a few short lines, without a picture:

    - detect road signs A1-A2
    > what does the second one say?
    => answer A2 what does the second road sign say?

One line for each of the last turns: what was asked of the model, the symbols of the boxes that can be
pointed back at, and the answer where it is words. Then the message, `R>` where a region was drawn with it,
`T1`, `T2` .. in the place of typed boxes. The plan is a task word a step, of one token each, the symbol of
the box that the step is about, and its argument; ` ;` stands between two steps. Such a prompt lacks the
`[INST]` that every other one opens with, so that neither can be taken for the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .answers import Completion, Continuation
from .grounding import Box
from .tasks import Task, Turn
from .typed_regions import typed_regions

CHAT = "chat"

# The word of each task; None is free conversation.
WORDS: dict[Task | None, str] = {
    Task.CAPTION: "caption",
    Task.GROUNDING: "describe",
    Task.REFER: "locate",
    Task.DETECTION: "detect",
    Task.IDENTIFY: "identify",
    Task.VQA: "answer",
    None: "chat",
}
TASKS = {word: task for task, word in WORDS.items()}
# Tasks of which the model writes an argument, and those whose plan has a symbol and nothing else.
_WITH_ARGUMENT = (Task.REFER, Task.DETECTION, Task.VQA)
SEPARATOR = " ;"
# What free conversation is about: a greeting; thanks, a remark or a goodbye; the assistant itself; or what
# cannot be had by looking at the picture.
REPLIES = ("hello", "thanks", "about", "cannot")

# How many earlier turns are told, and how many words of an answer.
TURNS = 4
_ANSWER_WORDS = 16
# Of a message longer than this the beginning and the end are read.
_HEAD, _TAIL = 700, 200
MOST_STEPS = 12
MOST_TOKENS = 128

_DIGITS = "0123456789"
_SYMBOL = re.compile(r"(R|[TA][1-9]\d?)(?:\s+|$)")
_LEFT = re.compile(r"\b(?:this box |the box )?[TA][1-9]\b")
_JOINTS = re.compile(r"\s*[\n;]\s*|\s+")


@dataclass(frozen=True)
class Step:
    """One thing to ask the model; task None is free conversation, region the part that it is about.

    `region_from` is the index of an earlier step of the same plan whose box is that part: "find the dog and
    tell me what colour it is". Where that step finds none that it is sure of, the whole picture is looked at.
    `reply` is, of free conversation, which of `REPLIES` is said in place of asking the model; or empty.
    `typed` is what the person wrote behind an identifier that they typed, without its boxes.
    """

    task: Task | None
    argument: str = ""
    region: Box | None = None
    region_from: int | None = None
    reply: str = ""
    typed: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The task's name, `chat` for free conversation."""
        return self.task.value if self.task else CHAT


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier turn, with the boxes that it found."""

    task: Task | None
    argument: str = ""
    boxes: tuple[Box, ...] = ()
    region: Box | None = None


@dataclass(frozen=True)
class PastTurn:
    """An earlier turn: what the person wrote, what was asked of the model, and the answer."""

    user: str
    steps: tuple[PastStep, ...] = ()
    answer: str = ""


@dataclass(frozen=True)
class PlanContext:
    """What is known besides the message: earlier turns, oldest first, and the region just drawn.

    `size` is that of the picture, width and height in pixels, where there is one.
    """

    turns: tuple[PastTurn, ...] = ()
    region: Box | None = None
    size: tuple[int, int] | None = None


class PlanWriter(Protocol):
    """Whatever goes on with texts as the language model does that plans."""

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Go on with texts."""
        ...


@dataclass(frozen=True)
class PlanPrompt:
    """A message as the model reads it, with the boxes that a plan may speak of by their symbols."""

    text: str
    symbols: dict[str, Box]

    def choices(self, written: str) -> Sequence[str] | None:
        """Return what may follow in a plan: task words, symbols that there are, the end; None for all."""
        parts = written.split(SEPARATOR)
        word, _, rest = parts[-1].strip().partition(" ")
        task = TASKS.get(word)
        if word not in TASKS:
            return [f" {name}" for name, task in TASKS.items() if self.symbols or task is not Task.IDENTIFY]
        ends = [""] if len(parts) >= MOST_STEPS else ["", SEPARATOR]
        if task is Task.IDENTIFY:
            return self._symbol_goes_on(rest) if rest not in self.symbols else self._digits(rest) + ends
        if task is None and not rest:
            return [f" {reply}" for reply in REPLIES]
        if task not in _WITH_ARGUMENT:
            return ends
        return self._symbol_goes_on(rest) if rest in self._openings() else None

    def read(self, written: str, message: str) -> tuple[Step, ...]:
        """Return the steps of a plan; `message` takes the place of an argument that was left out."""
        steps: list[Step] = []
        for part in written.split(SEPARATOR):
            word, _, rest = part.strip().partition(" ")
            if word not in TASKS or len(steps) == MOST_STEPS:
                break
            step = self._step(TASKS[word], rest, message)
            if step not in steps:
                steps.append(step)
        return tuple(steps) or (Step(None, message),)

    def _step(self, task: Task | None, rest: str, message: str) -> Step:
        match = _SYMBOL.match(rest)
        region = self.symbols.get(match[1]) if match else None
        argument = (rest[match.end() :] if match else rest).strip()
        if self.symbols:  # a box has no words: what is left of its symbol is said like this
            argument = _LEFT.sub("this", argument)
        if task is None:
            return Step(task, message, reply=rest if rest in REPLIES else "")
        if task not in _WITH_ARGUMENT:
            return Step(task, "", region if task is Task.IDENTIFY else None)
        return Step(task, argument or message, region)

    def _openings(self) -> set[str]:
        return {symbol[0] for symbol in self.symbols if symbol != "R"}

    def _symbol_goes_on(self, begun: str) -> list[str]:
        """Return what may follow the beginning of a symbol, which may be nothing yet."""
        if not begun:
            return sorted({f" {symbol[0]}" for symbol in self.symbols})
        return self._digits(begun)

    def _digits(self, begun: str) -> list[str]:
        return [digit for digit in _DIGITS if any(name.startswith(begun + digit) for name in self.symbols)]


def plan_prompt(message: str, context: PlanContext) -> PlanPrompt:
    """Write a message and its context in the form that plans are learnt in."""
    text, boxes = typed_regions(_cut(message), context.size)
    symbols = {} if context.region is None else {"R": context.region}
    symbols |= {f"T{number}": box for number, box in enumerate(boxes, 1)}
    turns = context.turns[-TURNS:]
    latest = next((index for index in reversed(range(len(turns))) if _found(turns[index])), None)
    if latest is not None:
        symbols |= {f"A{number}": box for number, box in enumerate(_found(turns[latest]), 1)}
    lines = [_past_line(turn, pointed_at=index == latest) for index, turn in enumerate(turns)]
    mark = "R>" if context.region else ">"
    text = "\n".join([*lines, f"{mark} {_one_line(_lowered(text))}", "=>"])
    return PlanPrompt(text.encode(errors="replace").decode(), symbols)  # half a surrogate pair is no text


def write_plan(steps: Sequence[tuple[Task | None, str, str]]) -> str:
    """Write steps of task, argument and the symbol of a box (or nothing) as the model does.

    The argument of free conversation is one of `REPLIES`.
    """
    return SEPARATOR.join(
        "".join(f" {part}" for part in (WORDS[task], symbol, _argument(task, argument)) if part)
        for task, argument, symbol in steps
    )


def plan_confidence(written: Continuation) -> float:
    """Return how likely the tasks of a plan are: the product of the probabilities of its task words."""
    likely = 1.0
    begins = True
    for piece, probability in zip(written.pieces, written.probabilities, strict=True):
        likely *= probability if begins else 1.0
        begins = piece == SEPARATOR
    return likely


def plan_turn(prompt: PlanPrompt, written: str | None = None) -> Turn:
    """Return the turn that a plan is written in; `written` is the plan to learn."""
    return Turn(prompt.text, written, bare=True)


def _argument(task: Task | None, argument: str) -> str:
    if task not in _WITH_ARGUMENT:
        return argument if task is None else ""
    text = _one_line(argument)
    # A capital alone could be read as a symbol; acronyms and names stay.
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] in ("", " ", "'", "-") else text


def _past_line(turn: PastTurn, *, pointed_at: bool) -> str:
    number = 0
    parts = []
    for step in turn.steps:
        argument = turn.user if step.task is None else step.argument
        boxes = len(step.boxes) if pointed_at and step.task is not Task.IDENTIFY else 0
        symbols = _range(number + 1, number + boxes)
        number += boxes
        parts.append(" ".join(part for part in (WORDS[step.task], _short(argument), symbols) if part))
    line = SEPARATOR.join(parts) or f"{WORDS[None]} {_short(turn.user)}"
    told = any(step.task not in (Task.REFER, Task.DETECTION) for step in turn.steps)
    if turn.answer and (told or not turn.steps or turn.answer.rstrip().endswith("?")):
        line += f" = {_short(turn.answer)}"
    return f"- {line}"


def _range(first: int, last: int) -> str:
    if last < first:
        return ""
    return f"A{first}" if first == last else f"A{first}-A{last}"


def _found(turn: PastTurn) -> list[Box]:
    """Return the boxes of a turn that a plan can point back at: those that were looked for, not marked."""
    return [box for step in turn.steps if step.task is not Task.IDENTIFY for box in step.boxes][:99]


def _cut(message: str) -> str:
    return message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]} … {message[-_TAIL:]}"


def _lowered(text: str) -> str:
    """Return a message written in capitals in small letters: it is the same message."""
    letters = [letter for letter in text if letter.isalpha()]
    capitals = sum(letter.isupper() for letter in letters)
    if len(letters) < 4 or capitals < 0.7 * len(letters):
        return text
    return re.sub(r"\bt([1-9])\b", r"T\1", text.lower())


def _short(text: str) -> str:
    words = _one_line(text).split(" ")
    return " ".join(words[:_ANSWER_WORDS]) + (" …" if len(words) > _ANSWER_WORDS else "")


def _one_line(text: str) -> str:
    return _JOINTS.sub(lambda joint: ", " if ";" in joint[0] else " ", text.strip())


__all__ = ["CHAT", "MOST_STEPS", "MOST_TOKENS", "REPLIES", "TASKS", "WORDS", "PastStep", "PastTurn"]
__all__ += ["PlanContext", "PlanPrompt", "PlanWriter", "Step", "plan_confidence", "plan_prompt"]
__all__ += ["plan_turn", "write_plan"]

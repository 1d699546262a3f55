"""Plans as the language model reads and writes them, in training, evaluation and inference.

A message and its context are a few short lines, without an image:

    - detect road signs A1-A2
    > what does the second one say?
    => answer A2 what does the second road sign say?

Each of the last turns has a line with its requests to the model, the symbols of the boxes that the message
may refer to, and the answer if it is text. The message follows, after `R>` if a region was drawn with it,
with `T1`, `T2` .. in place of typed boxes. The plan has, for each step, a task word of one token, the symbol
of the step's box, and its argument; ` ;` separates steps. Unlike all other prompts, this one does not begin
with `[INST]`, so the two cannot be confused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .answers import Completion, Continuation
from .grounding import Box
from .tasks import CHAT, NEEDS_ARGUMENT, Task, Turn
from .typed_regions import typed_regions

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
SEPARATOR = " ;"
# Kinds of free conversation: a greeting; thanks, a remark or a goodbye; a question about the assistant; a
# request that the image cannot answer.
REPLIES = ("hello", "thanks", "about", "cannot")

# The number of earlier turns in the prompt, and of words per answer.
TURNS = 4
_ANSWER_WORDS = 16
# The characters kept of the beginning and the end of a longer message.
_HEAD, _TAIL = 700, 200
MOST_STEPS = 12
MOST_TOKENS = 128

_DIGITS = "0123456789"
_SYMBOL = re.compile(r"(R|[TA][1-9]\d?)(?:\s+|$)")
_LEFTOVER_SYMBOL = re.compile(r"\b(?:this box |the box )?[TA][1-9]\b")
_JOINTS = re.compile(r"\s*[\n;]\s*|\s+")


@dataclass(frozen=True)
class Step:
    """One request to the model; task None is free conversation, `region` the part of the image to look at.

    `region_from` is the index of an earlier step of the same plan whose box is the region: "find the dog and
    tell me what colour it is". If that step finds no certain box, the full image is used. `reply` names the
    one of `REPLIES` to give in free conversation instead of asking the model, or is empty. `typed` is the
    text that the person wrote after a typed identifier, without its boxes.

    >>> Step(Task.REFER, "the dog").name, Step(None, "hello").name
    ('refer', 'chat')
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
    """A step of an earlier turn, with the boxes that it found.

    >>> PastStep(Task.REFER, "the dog", (Box(12, 30, 35, 92),)).boxes[0].bins
    (12, 30, 35, 92)
    """

    task: Task | None
    argument: str = ""
    boxes: tuple[Box, ...] = ()
    region: Box | None = None


@dataclass(frozen=True)
class PastTurn:
    """An earlier turn: the person's message, the requests to the model, and the answer.

    >>> PastTurn("where is the dog?", (PastStep(Task.REFER, "the dog"),), "On the left.").steps[0].argument
    'the dog'
    """

    user: str
    steps: tuple[PastStep, ...] = ()
    answer: str = ""


@dataclass(frozen=True)
class PlanContext:
    """The context of a message: earlier turns, oldest first, and the region just drawn.

    `size` is the image's width and height in pixels, or None without an image.

    >>> found = PastStep(Task.REFER, "the dog", (Box(12, 30, 35, 92),))
    >>> context = PlanContext((PastTurn("where is the dog?", (found,)),))
    >>> plan_prompt("what colour is it?", context).symbols["A1"].bins
    (12, 30, 35, 92)
    """

    turns: tuple[PastTurn, ...] = ()
    region: Box | None = None
    size: tuple[int, int] | None = None


class PlanWriter(Protocol):
    """A language model that completes plan prompts."""

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Complete texts."""
        ...


@dataclass(frozen=True)
class PlanPrompt:
    """A message as the model reads it, with the boxes by the symbols that a plan may use."""

    text: str
    symbols: dict[str, Box]

    def choices(self, written: str) -> Sequence[str] | None:
        """Return the allowed continuations: task words, existing symbols, the end; None allows any."""
        parts = written.split(SEPARATOR)
        word, _, rest = parts[-1].strip().partition(" ")
        task = TASKS.get(word)
        if word not in TASKS:
            return [f" {name}" for name, task in TASKS.items() if self.symbols or task is not Task.IDENTIFY]
        ends = [""] if len(parts) >= MOST_STEPS else ["", SEPARATOR]
        if task is Task.IDENTIFY:
            return self._next_of_symbol(rest) if rest not in self.symbols else self._digits(rest) + ends
        if task is None and not rest:
            return [f" {reply}" for reply in REPLIES]
        if task not in NEEDS_ARGUMENT:
            return ends
        return self._next_of_symbol(rest) if rest in self._openings() else None

    def read(self, written: str, message: str) -> tuple[Step, ...]:
        """Return the steps of a plan; `message` is the default argument."""
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
        if self.symbols:  # a leftover symbol in an argument means the box: replace it by a word
            argument = _LEFTOVER_SYMBOL.sub("this", argument)
        if task is None:
            return Step(task, message, reply=rest if rest in REPLIES else "")
        if task not in NEEDS_ARGUMENT:
            return Step(task, "", region if task is Task.IDENTIFY else None)
        return Step(task, argument or message, region)

    def _openings(self) -> set[str]:
        return {symbol[0] for symbol in self.symbols if symbol != "R"}

    def _next_of_symbol(self, start: str) -> list[str]:
        """Return the allowed continuations of the start of a symbol, which may be empty."""
        if not start:
            return sorted({f" {symbol[0]}" for symbol in self.symbols})
        return self._digits(start)

    def _digits(self, start: str) -> list[str]:
        return [digit for digit in _DIGITS if any(name.startswith(start + digit) for name in self.symbols)]


def plan_prompt(message: str, context: PlanContext) -> PlanPrompt:
    """Write a message and its context in the form of the training data."""
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
    return PlanPrompt(text.encode(errors="replace").decode(), symbols)  # replaces lone surrogates


def write_plan(steps: Sequence[tuple[Task | None, str, str]]) -> str:
    """Write steps of (task, argument, box symbol or "") in the form that the model writes.

    The argument of free conversation is one of `REPLIES`.

    >>> write_plan([(Task.REFER, "the dog", ""), (Task.IDENTIFY, "", "T1"), (None, "thanks", "")])
    ' locate the dog ; identify T1 ; chat thanks'
    """
    return SEPARATOR.join(
        "".join(f" {part}" for part in (WORDS[task], symbol, _argument(task, argument)) if part)
        for task, argument, symbol in steps
    )


def plan_confidence(written: Continuation) -> float:
    """Return the probability of a plan's tasks: the product over its task words."""
    confidence = 1.0
    begins = True
    for piece, probability in zip(written.pieces, written.probabilities, strict=True):
        confidence *= probability if begins else 1.0
        begins = piece == SEPARATOR
    return confidence


def plan_turn(prompt: PlanPrompt, written: str | None = None) -> Turn:
    """Return the turn of a plan prompt; `written` is the plan as a training target."""
    return Turn(prompt.text, written, bare=True)


def _argument(task: Task | None, argument: str) -> str:
    if task not in NEEDS_ARGUMENT:
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
        parts.append(" ".join(part for part in (_word(step.task), _short(argument), symbols) if part))
    line = SEPARATOR.join(parts) or f"{WORDS[None]} {_short(turn.user)}"
    has_text = any(step.task not in (Task.REFER, Task.DETECTION) for step in turn.steps)
    if turn.answer and (has_text or not turn.steps or turn.answer.rstrip().endswith("?")):
        line += f" = {_short(turn.answer)}"
    return f"- {line}"


def _word(task: Task | None) -> str:
    return WORDS.get(task) or str(task)  # a task that the model was not trained to plan


def _range(first: int, last: int) -> str:
    if last < first:
        return ""
    return f"A{first}" if first == last else f"A{first}-A{last}"


def _found(turn: PastTurn) -> list[Box]:
    """Return the boxes of a turn that a plan can refer to: located ones, not regions that were drawn."""
    return [box for step in turn.steps if step.task is not Task.IDENTIFY for box in step.boxes][:99]


def _cut(message: str) -> str:
    return message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]} … {message[-_TAIL:]}"


def _lowered(text: str) -> str:
    """Return a message in lower case if it is written in capitals."""
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

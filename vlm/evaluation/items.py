"""What evaluation is made of: items to ask, suites that score them, and sets of suites over one data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..answers import Generation, Request
from ..grounding import Box, format_detection, format_grounded, is_well_formed_box, parse
from ..tasks import ABSENT_ANSWER, Task
from .metrics import Measure, proportion


@dataclass(frozen=True)
class Item:
    """One request over a picture (put in when it is asked), and what its answer is scored by.

    `image` names the picture; `texts` are right answers in words, any of them; `boxes` are the right boxes;
    `about` is what else the suite's scoring has to know. Of `choices` the likeliest is the answer, where the
    engine can rank them.
    """

    image: str
    request: Request
    texts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    about: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Measures of all answers together, and how good each of them is.

    `qualities` has one number an answer: a hit from 0.5 on where the suite tells hits from misses, else the
    more the better. `notes` say what could not be measured, and why.
    """

    measures: dict[str, Measure]
    qualities: list[float]
    notes: tuple[str, ...] = ()


Score = Callable[[Sequence[Item], Sequence[Generation]], Scored]


@dataclass(frozen=True)
class Suite:
    """Items and how their answers are scored together."""

    items: Sequence[Item]
    score: Score


@dataclass(frozen=True)
class EvaluationSet:
    """The suites over one split of one data set; `read` opens a picture by its name, in RGB and upright.

    The name `""` is that of no picture. `split` is empty where a data set has none.
    """

    name: str
    split: str
    pictures: int
    suites: dict[str, Suite]
    read: Callable[[str], Image.Image | None]


def paired(items: Sequence[Item], answers: Sequence[Generation]) -> list[tuple[Item, Generation]]:
    """Return each item with its answer."""
    return list(zip(items, answers, strict=True))


def is_malformed(task: Task | None, raw: str) -> bool:
    """Return whether an answer is not in its task's form, as training writes it.

    `[refer]` wants one box and nothing else, `[detection]` phrases with their boxes, and both may answer that
    nothing of the kind is there; `[grounding]` wants text whose boxes follow phrases, and every other task
    words without markup.
    """
    grounded = parse(raw)
    if task in (Task.REFER, Task.DETECTION) and raw == ABSENT_ANSWER:
        return False
    if task is Task.REFER:
        return not is_well_formed_box(raw)
    if task is Task.DETECTION:
        return not grounded.boxes or raw != format_detection(grounded.phrases)
    if task is Task.GROUNDING:
        return not grounded.text or raw != format_grounded(grounded)
    return not raw or raw != grounded.text


def malformed(items: Sequence[Item], answers: Sequence[Generation]) -> Measure:
    """Return the share of answers that are not in their task's form."""
    return proportion(
        [is_malformed(item.request.task, answer.raw) for item, answer in paired(items, answers)]
    )


__all__ = ["EvaluationSet", "Item", "Score", "Scored", "Suite", "is_malformed", "malformed"]
__all__ += ["paired"]

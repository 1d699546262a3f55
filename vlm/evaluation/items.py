"""The parts of an evaluation: items to ask, suites that score them, and sets of suites on one dataset."""

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
    """One request about an image, and the right answers to score it by.

    `image` is the image's name (it is loaded when the item is asked); any of `texts` is a right answer;
    `boxes` are the right boxes; `about` is further data for the score. If there are `choices` and the engine
    can rank them, the likeliest one is the answer.
    """

    image: str
    request: Request
    texts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    about: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Measures of all answers, and the quality of each.

    `qualities` has one number per answer: a hit is 0.5 or more where a suite has hits, otherwise higher is
    better. `notes` say what could not be measured, and why.
    """

    measures: dict[str, Measure]
    qualities: list[float]
    notes: tuple[str, ...] = ()


Score = Callable[[Sequence[Item], Sequence[Generation]], Scored]


@dataclass(frozen=True)
class Suite:
    """Items and their joint score."""

    items: Sequence[Item]
    score: Score


@dataclass(frozen=True)
class EvaluationSet:
    """The suites on one split of a dataset; `read` opens an image by its name, in RGB and upright.

    The name `""` means no image. `split` is empty if the dataset has none.
    """

    name: str
    split: str
    pictures: int
    suites: dict[str, Suite]
    read: Callable[[str], Image.Image | None]


def paired(items: Sequence[Item], answers: Sequence[Generation]) -> list[tuple[Item, Generation]]:
    """Return each item with its answer."""
    return list(zip(items, answers, strict=True))


def first_overlap(item: Item, answer: Generation) -> float:
    """Return the IoU of the answer's first box with the item's, 0 without one."""
    boxes = answer.grounded.boxes
    return boxes[0].iou(item.boxes[0]) if boxes else 0.0


def is_malformed(task: Task | None, raw: str) -> bool:
    """Return whether an answer violates its task's format in training.

    `[refer]` needs exactly one box, `[detection]` phrases with boxes, and both may refuse; `[grounding]`
    needs text with boxes after phrases, and other tasks text without markup.
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
    """Return the share of answers that violate their task's format."""
    return proportion(
        [is_malformed(item.request.task, answer.raw) for item, answer in paired(items, answers)]
    )

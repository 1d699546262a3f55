"""What is asked over annotated photos to measure each task, and how the answers are scored."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..answers import Generation, Request
from ..data.expressions import Expression, ExpressionKind, expressions
from ..data.instructions import all_of
from ..data.nouns import class_of, plural
from ..data.photos import Photo, Question
from ..grounding import Box, is_well_formed_box
from ..tasks import Task
from .metrics import (
    Measure,
    average_precision,
    caption_scores,
    match_boxes,
    mean,
    normalise,
    proportion,
    same_answer,
)


@dataclass(frozen=True)
class Item:
    """One request over a photo (the picture is put in when it is asked) and what its answer is scored by."""

    photo: Photo
    request: Request
    wanted: Any


@dataclass(frozen=True)
class Suite:
    """A task's items from a photo, and the scoring of all of them together."""

    items: Callable[[Photo], list[Item]]
    score: Callable[[Sequence[Item], Sequence[Generation]], dict[str, Measure]]


# The one thing of its class, or the photo's own: one expression a box, so that none counts twice.
_UNIQUE = (ExpressionKind.CLASS, ExpressionKind.NAME)
_WHOLE = Box(0, 0, 100, 100)


def _refer_items(photo: Photo) -> list[Item]:
    return [
        Item(photo, Request(Task.REFER, expression.definite), expression) for expression in expressions(photo)
    ]


def _refer_score(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    pairs = list(zip(items, answers, strict=True))

    def overlaps(kept: Callable[[Expression], bool]) -> list[float]:
        return [_overlap(item.wanted, answer) for item, answer in pairs if kept(item.wanted)]

    unique = overlaps(lambda wanted: wanted.kind in _UNIQUE)
    whole = [_WHOLE.iou(item.wanted.box) for item in items if item.wanted.kind in _UNIQUE]
    return {
        "accuracy_at_50_unique": _accuracy(unique),
        "accuracy_at_50_unique_people": _accuracy(
            overlaps(lambda wanted: wanted.kind in _UNIQUE and wanted.label == "person")
        ),
        "accuracy_at_50_unique_if_always_whole_picture": _accuracy(whole),
        "accuracy_at_50_captions_noun": _accuracy(
            overlaps(lambda wanted: wanted.kind is ExpressionKind.CAPTION)
        ),
        "accuracy_at_50_relative": _accuracy(overlaps(lambda wanted: wanted.kind is ExpressionKind.SIDE)),
        "mean_iou_unique": mean(unique),
        "well_formed": proportion([is_well_formed_box(answer.raw) for answer in answers]),
    }


def _accuracy(overlaps: Sequence[float]) -> Measure:
    return proportion([overlap >= 0.5 for overlap in overlaps])


def _overlap(expression: Expression, answer: Generation) -> float:
    boxes = answer.grounded.boxes
    return boxes[0].iou(expression.box) if boxes else 0.0


def _identify_items(photo: Photo) -> list[Item]:
    """One item a box: of several expressions for it, any names the class."""
    by_box = {expression.box: expression for expression in expressions(photo)}
    return [Item(photo, Request(Task.IDENTIFY, region=box), expression) for box, expression in by_box.items()]


def _identify_score(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    pairs = list(zip(items, answers, strict=True))
    return {
        "exact_class": proportion([_names(item.wanted, answer.grounded.text) for item, answer in pairs]),
        "exact_class_but_people": proportion(
            [
                _names(item.wanted, answer.grounded.text)
                for item, answer in pairs
                if item.wanted.label != "person"
            ]
        ),
    }


def _names(expression: Expression, text: str) -> bool:
    """Return whether a text names the expression's class; a photo's own class must be named to the letter."""
    if expression.kind is ExpressionKind.NAME:
        return normalise(text) == normalise(expression.text)
    return class_of(text) == expression.label


def _caption_items(photo: Photo) -> list[Item]:
    return [Item(photo, Request(Task.CAPTION), photo.captions)] if photo.captions else []


def _caption_score(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    return caption_scores([answer.grounded.text for answer in answers], [item.wanted for item in items])


def _vqa_items(photo: Photo) -> list[Item]:
    accepted: dict[str, list[Question]] = {}
    for item in photo.questions:
        accepted.setdefault(item.question, []).append(item)
    human = [Item(photo, Request(Task.VQA, asked), tuple(items)) for asked, items in accepted.items()]
    counted = [
        Item(photo, Request(Task.VQA, f"how many {plural(label)} are there?"), len(boxes))
        for label, boxes in _boxes_by_label(photo).items()
    ]
    return human + counted


def _vqa_score(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    pairs = [(item.wanted, answer.grounded.text) for item, answer in zip(items, answers, strict=True)]
    human = [(wanted, text) for wanted, text in pairs if not isinstance(wanted, int)]
    counts = [(wanted, _number(text)) for wanted, text in pairs if isinstance(wanted, int)]
    several = [(wanted, number) for wanted, number in counts if wanted > 1]
    return {
        "human_top_1": proportion([_answers(text, wanted) for wanted, text in human]),
        "human_top_1_single": proportion(
            [_answers(text, wanted) for wanted, text in human if len(wanted[0].answer) == 1]
        ),
        "count_exact": proportion([number == wanted for wanted, number in counts]),
        "count_exact_if_always_one": proportion([wanted == 1 for wanted, _ in counts]),
        "count_exact_of_several": proportion([number == wanted for wanted, number in several]),
        "count_within_1": proportion(
            [number is not None and abs(number - wanted) <= 1 for wanted, number in counts]
        ),
    }


def _answers(text: str, wanted: tuple[Question, ...]) -> bool:
    """Return whether a text is one of the answers that people gave to a question."""
    return any(same_answer(text, item.answer) for item in wanted)


def _number(text: str) -> int | None:
    match = re.search(r"\d+", text)
    return int(match[0]) if match else None


def _detection_items(photo: Photo) -> list[Item]:
    return [
        Item(photo, Request(Task.DETECTION, label), boxes) for label, boxes in _boxes_by_label(photo).items()
    ]


def _detection_score(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    scored: list[tuple[float, bool]] = []
    precisions: list[float] = []
    recalls: list[float] = []
    for item, answer in zip(items, answers, strict=True):
        found = tuple(dict.fromkeys(answer.grounded.boxes))
        hits = match_boxes(found, item.wanted)
        precisions.append(sum(hits) / len(found) if found else 0.0)
        recalls.append(sum(hits) / len(item.wanted))
        scored += [(box.score or 0.0, hit) for box, hit in zip(found, hits, strict=True)]
    total = sum(len(item.wanted) for item in items)
    precision = average_precision(scored, total)
    return {
        "ap_50": Measure(precision, None, None, total),
        "precision_at_50": mean(precisions),
        "recall_at_50": mean(recalls),
    }


def _boxes_by_label(photo: Photo) -> dict[str, tuple[Box, ...]]:
    labels = dict.fromkeys(item.label for item in photo.objects)
    return {label: boxes for label in labels if (boxes := all_of(photo, label))}


SUITES: dict[Task, Suite] = {
    Task.REFER: Suite(_refer_items, _refer_score),
    Task.CAPTION: Suite(_caption_items, _caption_score),
    Task.VQA: Suite(_vqa_items, _vqa_score),
    Task.IDENTIFY: Suite(_identify_items, _identify_score),
    Task.DETECTION: Suite(_detection_items, _detection_score),
}

__all__ = ["SUITES", "Item", "Suite"]

"""Suites for boxes: referring expressions, detection, grounded captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..answers import Generation, Request
from ..data.expressions import CONFIDENT, Expression, ExpressionKind, distinct, expressions, to_box
from ..data.instructions import certain_boxes
from ..data.nouns import class_of
from ..data.photos import Photo
from ..grounding import BINS, Box, GroundedText, intersection_over_union
from ..tasks import Task
from .items import Item, Scored, first_overlap, malformed, paired
from .metrics import (
    HIT,
    WHOLE_IMAGE,
    Measure,
    average_precision,
    bootstrap,
    match_boxes,
    mean,
    proportion,
)

# The kinds for the only object of its class: one expression per box, so that no box counts twice.
_UNIQUE = (ExpressionKind.CLASS, ExpressionKind.NAME)


def refer_items(photo: Photo) -> list[Item]:
    """Return an item for every referring expression of a photo."""
    return [
        Item(photo.image, Request(Task.REFER, it.definite), (it.definite,), (it.box,), it)
        for it in expressions(photo)
    ]


def refer_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score referring expression comprehension (REC): the first box, by kind of expression."""
    overlaps = [first_overlap(item, answer) for item, answer in paired(items, answers)]

    def of(kept: Callable[[Expression], bool]) -> list[float]:
        return [overlap for item, overlap in zip(items, overlaps, strict=True) if kept(item.about)]

    unique = of(lambda it: it.kind in _UNIQUE)
    whole = [WHOLE_IMAGE.iou(item.boxes[0]) for item in items if item.about.kind in _UNIQUE]
    measures = {
        "accuracy_at_50_unique": _accuracy(unique),
        "accuracy_at_50_unique_people": _accuracy(of(lambda it: it.kind in _UNIQUE and it.label == "person")),
        "accuracy_at_50_unique_if_always_whole_picture": _accuracy(whole),
        "accuracy_at_50_captions_noun": _accuracy(of(lambda it: it.kind is ExpressionKind.CAPTION)),
        "accuracy_at_50_relative": _accuracy(of(lambda it: it.kind is ExpressionKind.SIDE)),
        "mean_iou_unique": mean(unique),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, overlaps)


def rec_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score REC on a published set like the reference: accuracy at an IoU above 0.5, and the mean IoU.

    `about` holds the true box in fractions of the image and the image's size in pixels. Boxes are compared in
    pixels, with one pixel added to width and height; an answer that does not begin with a box has none.
    """
    overlaps = [_exact_overlap(item, answer) for item, answer in paired(items, answers)]
    accuracy = proportion([overlap > HIT for overlap in overlaps])
    measures = {"accuracy_at_50": accuracy, "mean_iou": mean(overlaps)}
    return Scored(measures | {"malformed": malformed(items, answers)}, overlaps)


def _accuracy(overlaps: Sequence[float]) -> Measure:
    return proportion([overlap >= HIT for overlap in overlaps])


def _exact_overlap(item: Item, answer: Generation) -> float:
    boxes = answer.grounded.boxes
    if not boxes or not answer.raw.replace("<unk>", "").replace(" ", "").startswith("{<"):
        return 0.0
    wanted, size = item.about
    found = [value / BINS for value in boxes[0].bins]
    pixels = [[side * length for side, length in zip(box, size * 2, strict=True)] for box in (found, wanted)]
    return intersection_over_union(*([*box[:2], box[2] + 1, box[3] + 1] for box in pixels))


def detection_items(photo: Photo) -> list[Item]:
    """Return an item for every class of a photo whose boxes are all certain."""
    return [
        Item(photo.image, Request(Task.DETECTION, label), (label,), boxes, label)
        for label in photo.labels
        if (boxes := certain_boxes(photo, label))
    ]


def detection_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score detection: precision and recall per phrase at IoU 0.5, and the average precision of all boxes."""
    found: list[list[tuple[float, bool]]] = []
    for item, answer in paired(items, answers):
        boxes = answer.grounded.distinct_boxes
        hits = match_boxes(boxes, item.boxes)
        found.append([(box.score or 0.0, hit) for box, hit in zip(boxes, hits, strict=True)])
    wanted = [len(item.boxes) for item in items]
    right = [sum(hit for _, hit in scored) for scored in found]

    def precision_of_all(drawn: np.ndarray) -> float:
        return average_precision([pair for i in drawn for pair in found[i]], sum(wanted[i] for i in drawn))

    precisions = [hits / max(len(scored), 1) for hits, scored in zip(right, found, strict=True)]
    recalls = [hits / total for hits, total in zip(right, wanted, strict=True)]
    measures = {
        "ap_50": bootstrap(len(items), precision_of_all, count=sum(wanted)),
        "precision_at_50": mean(precisions),
        "recall_at_50": mean(recalls),
        "malformed": malformed(items, answers),
    }
    f_scores = [2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(precisions, recalls, strict=True)]
    return Scored(measures, f_scores)


def grounding_items(photo: Photo) -> list[Item]:
    """Return a grounded caption item if some class has exactly one certain object."""
    boxes = {label: box for label in photo.labels if (box := _only(photo, label))}
    if not boxes:
        return []
    return [Item(photo.image, Request(Task.GROUNDING), photo.captions, tuple(boxes.values()), boxes)]


def _only(photo: Photo, label: str) -> Box | None:
    things = distinct(photo, label)
    return to_box(things[0]) if len(things) == 1 and things[0].score >= CONFIDENT else None


def grounding_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score grounded captions: the boxes of phrases that can mean only one object.

    A phrase counts if no other phrase names its class and the photo has one certain object of that class.
    """
    overlaps = [_phrase_overlaps(item.about, answer.grounded) for item, answer in paired(items, answers)]
    every = [overlap for each in overlaps for overlap in each]
    measures = {
        "phrase_accuracy_at_50": _accuracy(every),
        "phrase_mean_iou": mean(every),
        "captions_with_a_box": proportion([bool(answer.grounded.boxes) for answer in answers]),
        "phrases_a_caption": mean([len(answer.grounded.phrases) for answer in answers]),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [sum(each) / max(len(each), 1) for each in overlaps])


def _phrase_overlaps(only: dict[str, Box], grounded: GroundedText) -> list[float]:
    labels = [class_of(phrase.text) for phrase in grounded.phrases]
    return [
        phrase.boxes[0].iou(only[label])
        for phrase, label in zip(grounded.phrases, labels, strict=True)
        if label in only and labels.count(label) == 1
    ]

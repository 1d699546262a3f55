"""Suites for records written by hand, one per task: `assistant evaluate --data own.jsonl`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..answers import Generation, Request
from ..data.records import ImageReference, Record, TaskTurn
from ..data.sources.base import read_records
from ..data.sources.own import OwnRecords
from ..errors import DataError
from ..grounding import parse
from ..tasks import CHAT, Task, Turn
from .answers import normalise
from .items import EvaluationSet, Item, Scored, Suite, first_overlap, malformed, paired
from .metrics import HIT, Measure, match_boxes, mean, proportion, ratio

OWN_SUITES = (*(task.value for task in Task), CHAT)


def own_set(path: Path, names: Sequence[str] | None = None) -> EvaluationSet:
    """Return the named suites for a file of records, by default those of all tasks in it.

    Raises:
        DataError: a line is invalid, or the file has no line for a named suite.
    """
    items: dict[str, list[Item]] = {}
    images: dict[str, ImageReference] = {}
    for record in read_records(OwnRecords(path)):
        name = _name(record.picture, path.parent)
        if record.picture is not None:
            images[name] = record.picture
        for item in _items(record, name):
            items.setdefault(item.request.task or CHAT, []).append(item)
    for name in names or items:
        if name not in items:
            raise DataError(f"{path} has no line for {name!r}: choose among {', '.join(items)}")
    if not items:
        raise DataError(f"{path} holds no records")
    wanted = [name for name in OWN_SUITES if name in (names or items)]
    suites = {name: _suite(name, items[name]) for name in wanted}
    return EvaluationSet(
        path.name,
        "",
        len({image.path for image in images.values()}),
        suites,
        lambda image: images[image].read() if image else None,
    )


def _name(image: ImageReference | None, folder: Path) -> str:
    """Return a unique name for an image or a part of one."""
    if image is None:
        return ""
    path = os.path.relpath(image.path, folder)
    return path if image.part is None else f"{path} {image.part.bins}"


def _items(record: Record, image: str) -> Iterator[Item]:
    """Yield the turns of a record; the history of later ones has the right answers."""
    history: list[Turn] = []
    for turn in record.turns:
        request = Request(turn.task, turn.argument, turn.region, history=tuple(history))
        yield _item(image, request, turn)
        history.append(replace(request.turns[-1], answer=turn.answer))


def _item(image: str, request: Request, turn: TaskTurn) -> Item:
    wanted = parse(turn.answer)
    return Item(image, request, (wanted.text,), wanted.boxes)


def _merged(items: Sequence[Item]) -> list[Item]:
    """Merge items with the same question about an image: any of their answers is right."""
    merged: dict[tuple[str, Request], Item] = {}
    for item in items:
        other = merged.setdefault((item.image, item.request), item)
        if other is not item:
            merged[item.image, item.request] = replace(other, texts=other.texts + item.texts)
    return list(merged.values())


def text_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score text answers: equality except for case, articles and punctuation, and the F1 of their words."""
    each = _word_f1(items, answers)
    exact = [
        normalise(answer.grounded.text) in map(normalise, item.texts)
        for item, answer in paired(items, answers)
    ]
    measures = {"exact": proportion(exact), "word_f1": mean(each), "malformed": malformed(items, answers)}
    return Scored(measures, each)


def refer_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the first box against the right one, and refusals of absent things."""
    each = [_overlap(item, answer) for item, answer in paired(items, answers)]
    overlaps = [overlap for item, overlap in zip(items, each, strict=True) if item.boxes]
    measures = {
        "accuracy_at_50": proportion([overlap >= HIT for overlap in overlaps]),
        "mean_iou": mean(overlaps),
    }
    measures |= _refused_absent(items, answers) | {"malformed": malformed(items, answers)}
    return Scored(measures, each)


def detection_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the boxes of all phrases together, and refusals of absent things."""
    measures, each = _boxes(items, answers)
    measures |= _refused_absent(items, answers) | {"malformed": malformed(items, answers)}
    return Scored(measures, each)


def grounding_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score the boxes of all phrases together, and the F1 of the words."""
    measures, each = _boxes(items, answers)
    measures |= {
        "word_f1": mean(_word_f1(items, answers)),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, each)


def _overlap(item: Item, answer: Generation) -> float:
    """Return the IoU of the first box; for an absent thing, 1 if no box is given."""
    return first_overlap(item, answer) if item.boxes else float(not answer.grounded.boxes)


def _boxes(items: Sequence[Item], answers: Sequence[Generation]) -> tuple[dict[str, Measure], list[float]]:
    """Return recall and precision of boxes at IoU 0.5, and the F1 of each answer."""
    found = [answer.grounded.distinct_boxes for answer in answers]
    counts = [
        (sum(match_boxes(boxes, item.boxes)), len(boxes), len(item.boxes))
        for item, boxes in zip(items, found, strict=True)
    ]
    hits, given, wanted = zip(*counts, strict=True)
    measures = {"recall_at_50": ratio(hits, wanted), "precision_at_50": ratio(hits, given)}
    return measures, [_f1(*each) for each in counts]


def _refused_absent(items: Sequence[Item], answers: Sequence[Generation]) -> dict[str, Measure]:
    refused = [not answer.grounded.boxes for item, answer in paired(items, answers) if not item.boxes]
    return {"refused_absent": proportion(refused)} if refused else {}


def _word_f1(items: Sequence[Item], answers: Sequence[Generation]) -> list[float]:
    return [
        max(_f1_of_words(answer.grounded.text, text) for text in item.texts)
        for item, answer in paired(items, answers)
    ]


def _f1_of_words(answer: str, wanted: str) -> float:
    """Return the F1 of the words of two texts, as in SQuAD."""
    first, second = Counter(normalise(answer).split()), Counter(normalise(wanted).split())
    return _f1((first & second).total(), first.total(), second.total())


def _f1(hits: int, found: int, wanted: int) -> float:
    """Return the harmonic mean of precision and recall, 1 if nothing is wanted or found."""
    return 2 * hits / (found + wanted) if found + wanted else 1.0


_SCORES = {Task.REFER: refer_score, Task.DETECTION: detection_score, Task.GROUNDING: grounding_score}


def _suite(name: str, items: list[Item]) -> Suite:
    """Return the suite of a task; text is scored against all answers to the same question."""
    score = _SCORES.get(Task(name)) if name != CHAT else None
    return Suite(items, score) if score else Suite(_merged(items), text_score)

"""Translate a parsed answer into our own box format, the only one that callers of an engine see."""

from __future__ import annotations

from collections.abc import Sequence

from ...answers import Request
from ...grounding import (
    Box,
    GroundedPhrase,
    GroundedText,
    format_box,
    format_detection,
    format_grounded,
    parse,
    with_scores,
)
from ...tasks import Task
from .base import LabelledBox, Reading, plain


def to_grounded_text(request: Request, reading: Reading, scores: Sequence[float | None] = ()) -> GroundedText:
    """Return an answer in our format, `raw` included; `scores` are the boxes', in the order written."""
    found = [
        LabelledBox(one.label, one.box.with_score(score))
        for one, score in zip(reading.found, scores or [None] * len(reading.found), strict=True)
    ]
    if not found:
        return GroundedText(reading.words, raw=reading.words)
    if request.task is Task.REFER:
        return _grounded(format_box(found[0].box), [found[0].box])
    phrases = _phrases(found, plain(" ".join(request.argument.split())))
    if request.task is Task.GROUNDING:
        return _described(reading.words, phrases)
    boxes = [box for phrase in phrases for box in phrase.boxes]
    return _grounded(format_detection(phrases), boxes)


def _grounded(raw: str, boxes: Sequence[Box]) -> GroundedText:
    return with_scores(parse(raw), [box.score for box in boxes])


def _phrases(found: Sequence[LabelledBox], default: str) -> list[GroundedPhrase]:
    """Group the boxes by label; `default` labels those without one."""
    boxes: dict[str, list[Box]] = {}
    for one in found:
        boxes.setdefault(one.label.strip() or default, []).append(one.box)
    return [GroundedPhrase(label, tuple(of_label)) for label, of_label in boxes.items()]


def _described(words: str, phrases: Sequence[GroundedPhrase]) -> GroundedText:
    """Place each phrase where the description mentions it, or else append it."""
    placed: list[GroundedPhrase] = []
    folded = words.lower()
    if len(folded) != len(words):  # a letter whose lower case is longer
        folded = words
    for phrase in sorted(phrases, key=lambda one: -len(one.text)):
        start = _free(folded, phrase.text.lower(), placed)
        if start is None:
            start = len(words) + bool(words)
            words = f"{words} {phrase.text}".strip() if words else phrase.text
            folded = f"{folded} {phrase.text}" if folded else phrase.text
        text = words[start : start + len(phrase.text)]
        placed.append(GroundedPhrase(text, phrase.boxes, start))
    placed.sort(key=lambda phrase: phrase.start)
    raw = format_grounded(GroundedText(words, tuple(placed)))
    return _grounded(raw, [box for phrase in placed for box in phrase.boxes])


def _free(text: str, phrase: str, taken: Sequence[GroundedPhrase]) -> int | None:
    """Return the first place of a phrase in a text that overlaps no other phrase, or None."""
    start = text.find(phrase) if phrase else -1
    while start >= 0:
        end = start + len(phrase)
        if all(end <= other.start or start >= other.end for other in taken):
            return start
        start = text.find(phrase, start + 1)
    return None

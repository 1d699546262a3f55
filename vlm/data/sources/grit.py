"""GRIT-20M (Kosmos-2): tar shards of img2dataset with `KEY.jpg` and `KEY.json`.

The JSON has `caption`, `noun_chunks` and `ref_exps`; the latter two are lists of
`[start, end, x0, y0, x1, y1, confidence]`: a character span of the caption, and a box in fractions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...grounding import Box, GroundedPhrase, GroundedText, format_box, format_grounded
from ...tasks import Task
from ..records import Record, TaskTurn
from .base import Published, parse_line
from .shards import Entry, ShardFolder

Span = tuple[float, float, float, float, float, float, float]


class Annotation(Published):
    """The JSON of one image."""

    caption: str
    noun_chunks: tuple[Span, ...]
    ref_exps: tuple[Span, ...]


@dataclass(frozen=True)
class Grit(ShardFolder):
    """A folder of shards, read for one task: grounded captions, `[refer]` or `[identify]`."""

    annotation = "json"
    task: Task

    def records(self, content: Entry) -> Iterator[Record]:
        """Return the records of an image for the task, without expressions that have several boxes."""
        annotation = Annotation.model_validate(parse_line(content.text))
        grounding = self.task is Task.GROUNDING
        turns = _grounded(annotation) if grounding else _expressions(annotation, self.task)
        yield from (Record(content.picture, (turn,)) for turn in turns)


def _grounded(annotation: Annotation) -> Iterator[TaskTurn]:
    phrases: list[GroundedPhrase] = []
    for phrase in _phrases(annotation.caption, annotation.noun_chunks):
        if not phrases or phrase.start >= phrases[-1].end:
            phrases.append(phrase)
    if phrases:
        answer = format_grounded(GroundedText(annotation.caption, tuple(phrases)))
        yield TaskTurn(Task.GROUNDING, "", answer)


def _expressions(annotation: Annotation, task: Task) -> Iterator[TaskTurn]:
    for phrase in _phrases(annotation.caption, annotation.ref_exps):
        if len(phrase.boxes) > 1:
            continue
        if task is Task.REFER:
            yield TaskTurn(task, phrase.text, format_box(phrase.boxes[0]))
        else:
            yield TaskTurn(task, "", phrase.text, phrase.boxes[0])


def _phrases(caption: str, spans: tuple[Span, ...]) -> list[GroundedPhrase]:
    """Return the annotated phrases in reading order, each with all its boxes."""
    boxes: dict[tuple[int, int], list[Box]] = {}
    for start, end, x0, y0, x1, y1, _ in spans:
        if not 0 <= start < end <= len(caption):
            raise ValueError(f"characters {start:g} to {end:g} are not in a caption of {len(caption)}")
        boxes.setdefault((int(start), int(end)), []).append(Box.from_fractions(x0, y0, x1, y1))
    return [
        GroundedPhrase(caption[start:end], tuple(found), start)
        for (start, end), found in sorted(boxes.items(), key=lambda item: item[0])
    ]

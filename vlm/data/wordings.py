"""The texts of the published datasets in training, as the reference prepares them.

Its caption processor cleans the captions, expressions, questions and answers of some datasets; conversations,
grounded captions and detections stay as they are. The instructions around the words are the prompt form's
(`PromptForm.training_wordings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import mod
from pathlib import Path
from typing import Any

from ..prompt_form import PromptForm
from .configuration import SourceConfig
from .instructions import Sample, worded
from .records import Record, TaskTurn
from .sources import open_source
from .sources.aokvqa import AokVqa
from .sources.base import Row, Source, read_records
from .sources.refcoco import RefCoco
from .sources.unnatural import UnnaturalInstructions
from .sources.vqa import Vqa

MOST_WORDS = 50
"""The most words of a cleaned text."""

_PUNCTUATION = re.compile(r'[.!"()*#:;~]')
_SPACES = re.compile(r"\s{2,}")

_RAW = {"llava_conversation", "multitask_conversation", "grit_grounding", "flickr30k_grounded_caption"}
_RAW |= {"flickr30k_caption_to_phrases", "flickr30k_phrase_to_boxes"}
# The answers are boxes, or text that the reference leaves as it is.
_QUESTION_ONLY = {"refcoco", "refcoco_plus", "refcocog", "grit_refer", "visual_genome"}
_QUESTION_ONLY |= {"llava_detail", "llava_reasoning"}


def clean_caption(text: str) -> str:
    """Clean a text as the reference's `blip_caption` processor.

    Lower case; `. ! " ( ) * # : ; ~` become spaces; repeated spaces become one; at most 50 words.
    """
    text = _SPACES.sub(" ", _PUNCTUATION.sub(" ", text.lower()))
    return " ".join(text.rstrip("\n").strip(" ").split(" ")[:MOST_WORDS])


@dataclass(frozen=True)
class CleanedSource:
    """A dataset whose questions, answers or both are cleaned; records that become empty are left out."""

    source: Source
    question: bool
    answer: bool

    def files(self) -> list[Path]:
        """Return the annotation files."""
        return self.source.files()

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        return self.source.rows()

    def records(self, content: Any) -> Iterator[Record]:
        """Return the records of one row, cleaned."""
        for record in self.source.records(content):
            if all(self._keeps(turn) for turn in record.turns):
                yield replace(record, turns=tuple(map(self._cleaned, record.turns)))

    def _keeps(self, turn: TaskTurn) -> bool:
        asked = turn.argument if turn.words is None else turn.words
        empty_question = self.question and bool(asked) and not clean_caption(asked)
        return not empty_question and not (self.answer and not clean_caption(turn.answer))

    def _cleaned(self, turn: TaskTurn) -> TaskTurn:
        if self.question:
            words = None if turn.words is None else clean_caption(turn.words)
            turn = replace(turn, argument=clean_caption(turn.argument), words=words)
        if self.answer:
            further = filter(None, map(clean_caption, turn.further))
            turn = replace(turn, answer=clean_caption(turn.answer), further=tuple(further))
        return turn


def open_for_training(name: str, data: Path, place: SourceConfig, form: PromptForm) -> Source:
    """Return the dataset of a name in `SOURCES`, with its texts as models of this prompt form learn them.

    With `form.cleans_captions` a dataset is read as in the reference: cleaned, expressions of RefCOCO as
    people wrote them, and each question with all its answers, one of which is drawn for every example.
    """
    source = open_source(name, data, place)
    if not form.cleans_captions:
        return source
    if isinstance(source, RefCoco | Vqa | AokVqa | UnnaturalInstructions):
        source = replace(source, reference=True)
    if name in _RAW:
        return source
    return CleanedSource(source, question=True, answer=name not in _QUESTION_ONLY)


def training_samples(
    name: str, data: Path, form: PromptForm, place: SourceConfig | None = None
) -> Iterator[list[Sample]]:
    """Yield the samples of each record of a dataset under `data`: one for every wording that may be drawn.

    Training draws one of them each time it shows the record. The image comes first in the prompt:
    `SharedImageCollator` builds the tokens.

    Raises:
        DataError: the dataset is missing, or a row is invalid.
        KeyError: no dataset in `SOURCES` has this name.
    """
    for record in read_records(open_for_training(name, data, place or SourceConfig(), form)):
        yield list(_every_wording(record, form))


def _every_wording(record: Record, form: PromptForm) -> Iterable[Sample]:
    asked = [turn.task for turn in record.turns if turn.words is None and turn.task is not None]
    for number in range(max((len(form.training_wordings[task]) for task in asked), default=1)):
        yield worded(record, partial(mod, number), form)

"""Flickr30k Entities: `Sentences/ID.txt`, `Annotations/ID.xml`, and a list of IDs for each split.

Sentences mark phrases as `[/EN#8245/people A man]`; the XML gives the boxes of each number in pixels. There
are three forms of samples: grounded captions, a caption to its phrases with boxes, and a phrase to its boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from ...errors import DataError
from ...grounding import Box, GroundedPhrase, GroundedText, format_detection, format_grounded
from ...tasks import Task
from ..detokenising import join_punctuation
from ..records import ImageReference, Record, TaskTurn
from .base import Row, require

# Skip captions with fewer grounded phrases, as in the paper.
FEWEST_PHRASES = 5

_PHRASE = re.compile(r"\[/EN#(?P<number>\d+)/\S+ (?P<words>[^\]]+)\]")


class Form(StrEnum):
    """The form of the samples."""

    GROUNDED_CAPTION = "grounded_caption"
    CAPTION_TO_PHRASES = "caption_to_phrases"
    PHRASE_TO_BOXES = "phrase_to_boxes"


@dataclass(frozen=True)
class Flickr30kEntities:
    """The captions of a split in one form; `pictures` is the folder of `ID.jpg`."""

    path: Path
    pictures: Path
    form: Form
    split: str = "train"

    def files(self) -> list[Path]:
        """Return the list of the split's IDs, and the sentences and boxes of each."""
        numbers = require(self._list).read_text(encoding="utf-8").split()
        return [self._list, *(path for number in numbers for path in self._files_of(number))]

    def rows(self) -> Iterator[Row]:
        """Yield each line of `Sentences/ID.txt` with its image's ID and boxes."""
        for number in require(self._list).read_text(encoding="utf-8").split():
            sentences, annotations = map(require, self._files_of(number))
            for line, sentence in enumerate(sentences.read_text(encoding="utf-8").splitlines(), start=1):
                yield Row(f"{sentences}:{line}", (number, sentence, annotations))

    def records(self, content: tuple[str, str, Path]) -> Iterator[Record]:
        """Return the records of a caption in this form, if any."""
        number, sentence, annotations = content
        grounded = _grounded(sentence, _boxes(annotations))
        image = ImageReference(str(self.pictures / f"{number}.jpg"))
        yield from (Record(image, (turn,)) for turn in self._turns(grounded))

    @property
    def _list(self) -> Path:
        return self.path / f"{self.split}.txt"

    def _files_of(self, number: str) -> tuple[Path, Path]:
        return self.path / "Sentences" / f"{number}.txt", self.path / "Annotations" / f"{number}.xml"

    def _turns(self, grounded: GroundedText) -> Iterator[TaskTurn]:
        if self.form is Form.PHRASE_TO_BOXES:
            for phrase in grounded.phrases:
                yield TaskTurn(Task.DETECTION, phrase.text, format_detection([phrase]))
        elif len(grounded.phrases) >= FEWEST_PHRASES:
            if self.form is Form.GROUNDED_CAPTION:
                yield TaskTurn(Task.GROUNDING, "", format_grounded(grounded))
            else:
                yield TaskTurn(Task.DETECTION, grounded.text, format_detection(grounded.phrases))


def _grounded(sentence: str, boxes: dict[str, tuple[Box, ...]]) -> GroundedText:
    """Return the sentence without marks, with its phrases that have boxes."""
    text = ""
    phrases = []
    cursor = 0
    for match in _PHRASE.finditer(sentence):
        text = join_punctuation(text + sentence[cursor : match.start()])
        words = join_punctuation(match["words"])
        if match["number"] in boxes:
            phrases.append(GroundedPhrase(words, boxes[match["number"]], len(text)))
        text += words
        cursor = match.end()
    if not text and "[/EN#" in sentence:
        raise ValueError("a phrase is not marked as [/EN#NUMBER/TYPE words]")
    return GroundedText(join_punctuation(text + sentence[cursor:].rstrip()), tuple(phrases))


def _boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of each number that is visible in the image."""
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (int(_text(root, f"size/{side}")) for side in ("width", "height"))
        found: dict[str, list[Box]] = {}
        for item in root.findall("object"):
            if item.find("bndbox") is None:
                continue  # not in the image, or all of it
            corners = [float(_text(item, f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")]
            box = Box.from_pixels(corners[0], corners[1], corners[2], corners[3], width, height)
            for name in item.findall("name"):
                found.setdefault(name.text or "", []).append(box)
    except (ElementTree.ParseError, ValueError, ArithmeticError) as error:
        raise DataError(f"{path}: {error}") from error
    return {number: tuple(boxes) for number, boxes in found.items()}


def _text(element: ElementTree.Element, path: str) -> str:
    value = element.findtext(path)
    if value is None:
        raise ValueError(f"{path} is missing")
    return value

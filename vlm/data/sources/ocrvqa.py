"""OCR-VQA: `dataset.json`, book covers in `images/ID.jpg`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, SplitFile, json_pairs

SPLITS = {1: "train", 2: "val", 3: "test"}


class Book(Published):
    """One cover, by its ID, with as many answers as questions."""

    imageURL: str  # noqa: N815 - as published
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    split: Literal[1, 2, 3]


class OcrVqa(SplitFile):
    """The questions about the covers of a split."""

    file = "dataset.json"

    def rows(self) -> Iterator[Row]:
        """Yield the covers with their IDs."""
        return json_pairs(self.files()[0])

    def records(self, content: tuple[str, Any]) -> Iterator[Record]:
        """Return a record for each question about a cover of the split."""
        number, row = content
        book = Book.model_validate(row)
        if SPLITS[book.split] != self.split:
            return
        if len(book.questions) != len(book.answers):
            raise ValueError(f"answers: {len(book.answers)} for {len(book.questions)} questions")
        image = self._image(number, Path(book.imageURL).suffix)
        for question, answer in zip(book.questions, book.answers, strict=True):
            yield Record(image, (TaskTurn(Task.VQA, question, answer),))

    def _image(self, number: str, suffix: str) -> ImageReference:
        """Return a cover: the published script saves a few as .gif or .png, other tools all as .jpg."""
        named = self.pictures / "images" / f"{number}{suffix}"
        return ImageReference(str(named if named.is_file() else named.with_suffix(".jpg")))

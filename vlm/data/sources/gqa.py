"""GQA: `SPLIT_balanced_questions.json`, images in `images/IMAGE_ID.jpg`."""

from __future__ import annotations

from collections.abc import Iterator

from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, SplitFile, json_pairs


class Question(Published):
    """One question, by its ID."""

    imageId: str  # noqa: N815 - as published
    question: str
    answer: str


class Gqa(SplitFile):
    """The balanced questions of a split."""

    file = "{split}_balanced_questions.json"

    def rows(self) -> Iterator[Row]:
        """Yield the questions with their IDs."""
        return json_pairs(self.files()[0])

    def records(self, content: tuple[str, object]) -> Iterator[Record]:
        """Return a question with its short answer."""
        row = Question.model_validate(content[1])
        image = ImageReference(str(self.pictures / "images" / f"{row.imageId}.jpg"))
        yield Record(image, (TaskTurn(Task.VQA, row.question, row.answer),))

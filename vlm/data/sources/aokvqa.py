"""A-OKVQA: `aokvqa_v1p0_SPLIT.json`, over COCO's images of 2017."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..records import Record
from .base import Published, SplitFile, answered
from .coco import image_2017


class Question(Published):
    """One question and its free-form human answers."""

    image_id: int
    question: str
    direct_answers: tuple[str, ...]


@dataclass(frozen=True)
class AokVqa(SplitFile):
    """The questions of a split, each with its most frequent answer, or with `reference` with all answers."""

    file = "aokvqa_v1p0_{split}.json"
    reference: bool = False

    def records(self, content: object) -> Iterator[Record]:
        """Return a question with its answer."""
        row = Question.model_validate(content)
        image = image_2017(self.pictures, self.split, row.image_id)
        yield Record(image, (answered(row.question, row.direct_answers, every=self.reference),))

"""VQAv2 and OK-VQA: a file of questions and one of answers, over COCO's images of 2014."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..records import Record
from .base import Published, Row, answered, json_index, json_rows
from .coco import image_2014


class Question(Published):
    """One item of `questions`."""

    question: str


class Answer(Published):
    """The answer of one person."""

    answer: str


class Annotation(Published):
    """One item of `annotations`: the answers to a question."""

    question_id: int
    image_id: int
    answers: tuple[Answer, ...]


def question_with_answers(content: tuple[object, dict[int, object]]) -> tuple[str, Annotation]:
    """Parse a row of `Vqa` into a question and its annotation.

    Raises:
        ValueError: the row is invalid, or its question is missing.
    """
    row, asked = content
    annotation = Annotation.model_validate(row)
    if annotation.question_id not in asked:
        raise ValueError(f"question_id: {annotation.question_id} is not among the questions")
    return Question.model_validate(asked[annotation.question_id]).question, annotation


@dataclass(frozen=True)
class Vqa:
    """The questions of a split, each with its most frequent answer, or with `reference` with all answers.

    `edition` is the prefix of the file names: "v2_" for VQAv2, "" for OK-VQA.
    """

    path: Path
    pictures: Path
    edition: str = "v2_"
    split: str = "train"
    reference: bool = False

    def files(self) -> list[Path]:
        """Return the files of questions and answers."""
        return [
            self.path / f"{self.edition}OpenEnded_mscoco_{self.split}2014_questions.json",
            self.path / f"{self.edition}mscoco_{self.split}2014_annotations.json",
        ]

    def rows(self) -> Iterator[Row]:
        """Yield the annotations, with the questions by ID."""
        questions, annotations = self.files()
        asked = json_index(questions, "questions", "question_id", ("question",))
        for row in json_rows(annotations, "annotations"):
            yield Row(row.where, (row.content, asked))

    def records(self, content: tuple[object, dict[int, object]]) -> Iterator[Record]:
        """Return a question with its answer, or answers."""
        question, annotation = question_with_answers(content)
        answers = [item.answer for item in annotation.answers]
        image = image_2014(self.pictures, self.split, annotation.image_id)
        yield Record(image, (answered(question, answers, every=self.reference),))

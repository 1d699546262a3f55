"""The evaluation sets of the paper, read in their published layout under one data folder.

Those that are trained on too are read by the readers of training, where these look for them; of the others
the folder holds

| set | files |
|---|---|
| `vsr` | `vsr/splits/zeroshot/test.jsonl` (or `random`), `vsr/images/` |
| `iconvqa` | IconQA: `iconqa_data/problems.json`, `pid_splits.json`, `iconqa/test/choose_txt/ID/image.png` |
| `vizwiz` | `vizwiz/Annotations/val.json`, `vizwiz/val/` |
| `hm` | Hateful Memes: `hateful_memes/dev_seen.jsonl`, `hateful_memes/img/` |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..answers import Request
from ..data.configuration import SourceConfig
from ..data.records import PictureReference
from ..data.sources import open_source
from ..data.sources.base import Published, Row, json_pairs, json_rows, line_rows, parse_line, read, told
from ..data.sources.coco import picture_2014
from ..data.sources.refcoco import thing_of
from ..data.sources.vqa import Answer, question_with_answers
from ..errors import DataError
from ..grounding import Box
from ..tasks import Task
from .items import EvaluationSet, Item, Score, Suite
from .locating import rec_score
from .telling import consensus_score, top_1_score


def _of_expressions(name: str, *splits: str) -> PublishedSet:
    """Return a set of referring expressions; the box to find is exact, not in the bins of training."""

    def items(data: Path, split: str) -> Iterator[Item]:
        def of(content: Any) -> Iterator[Item]:
            thing = thing_of(content)
            boxes = (Box.from_fractions(*thing.box),)
            for it in thing.expressions:
                picture = f"coco/train2014/{thing.file_name}"
                yield Item(picture, Request(Task.REFER, it), (it,), boxes, about=thing.box)

        return _items(open_source(name, data, SourceConfig(split=split)).rows(), of)

    return PublishedSet(splits, items, rec_score)


def _gqa(data: Path, split: str) -> Iterator[Item]:
    for record in read(open_source("gqa", data, SourceConfig(split=split))):
        (turn,) = record.turns
        path = record.picture.path if record.picture else ""
        yield _question(os.path.relpath(path, data), turn.argument, turn.answer)


def _of_ten_people(name: str) -> PublishedSet:
    """Return a set in the form of VQAv2, of which training reads the most frequent answer alone."""

    def items(data: Path, split: str) -> Iterator[Item]:
        def of(content: Any) -> Iterator[Item]:
            question, annotation = question_with_answers(content)
            picture = picture_2014(Path("coco"), split, annotation.image_id)
            yield _question(picture.path, question, *(it.answer for it in annotation.answers))

        return _items(open_source(name, data, SourceConfig(split=split)).rows(), of)

    return PublishedSet(("val", "train"), items, consensus_score)


class Statement(Published):
    """One line of VSR."""

    image: str
    caption: str
    label: Literal[0, 1]


def _vsr(data: Path, split: str) -> Iterator[Item]:
    def of(line: bytes) -> Iterator[Item]:
        row = Statement.model_validate(parse_line(line))
        asked = f"based on the image, is this statement true or false? {row.caption}"
        answers = ("true", "yes") if row.label else ("false", "no")
        yield _question(f"vsr/images/{row.image}", asked, *answers)

    kind, _, part = split.partition("-")
    return _items(line_rows(data / "vsr" / "splits" / kind / f"{part}.jsonl"), of)


class Problem(Published):
    """What stands under one number in IconQA's problems."""

    question: str
    choices: list[str]
    answer: int


def _iconvqa(data: Path, split: str) -> Iterator[Item]:
    """Questions with choices in words; the reference ranks those, here the answer must be the right one."""
    folder = data / "iconqa_data"
    chosen: set[str] = set()
    for row in json_pairs(folder / "pid_splits.json"):
        name, numbers = row.content
        chosen |= set(numbers) if name == f"choose_txt_{split}" else set()

    def of(content: tuple[str, Any]) -> Iterator[Item]:
        number, problem = content
        if number in chosen:
            row = Problem.model_validate(problem)
            if not 0 <= row.answer < len(row.choices):
                raise ValueError(f"answer: there is no choice {row.answer}")
            picture = f"iconqa_data/iconqa/{split}/choose_txt/{number}/image.png"
            yield _question(picture, row.question, row.choices[row.answer])

    return _items(json_pairs(folder / "problems.json"), of)


class VizWizQuestion(Published):
    """One item of VizWiz's annotations."""

    image: str
    question: str
    answers: list[Answer]


def _vizwiz(data: Path, split: str) -> Iterator[Item]:
    def of(content: Any) -> Iterator[Item]:
        row = VizWizQuestion.model_validate(content)
        yield _question(f"vizwiz/{split}/{row.image}", row.question, *(it.answer for it in row.answers))

    return _items(json_rows(data / "vizwiz" / "Annotations" / f"{split}.json", ""), of)


class Meme(Published):
    """One line of Hateful Memes."""

    img: str
    text: str
    label: Literal[0, 1]


def _memes(data: Path, split: str) -> Iterator[Item]:
    def of(line: bytes) -> Iterator[Item]:
        row = Meme.model_validate(parse_line(line))
        asked = f"this is an image with the words '{row.text}' on it. is it hateful? answer yes or no."
        yield _question(f"hateful_memes/{row.img}", asked, "yes" if row.label else "no")

    return _items(line_rows(data / "hateful_memes" / f"{split}.jsonl"), of)


def _items(rows: Iterable[Row], of: Callable[[Any], Iterable[Item]]) -> Iterator[Item]:
    return (item for row in rows for item in told(row, of))


def _question(picture: str, asked: str, *answers: str) -> Item:
    if not answers:
        raise ValueError("answers: there is none")
    return Item(picture, Request(Task.VQA, asked), answers)


@dataclass(frozen=True)
class PublishedSet:
    """A data set: its splits, the usual one first, its reader of a split, and its own measure."""

    splits: tuple[str, ...]
    items: Callable[[Path, str], Iterable[Item]]
    score: Score


PUBLISHED: dict[str, PublishedSet] = {
    "refcoco": _of_expressions("refcoco", "val", "testA", "testB"),
    "refcoco_plus": _of_expressions("refcoco_plus", "val", "testA", "testB"),
    "refcocog": _of_expressions("refcocog", "val", "test"),
    "gqa": PublishedSet(("testdev", "val"), _gqa, top_1_score),
    "okvqa": _of_ten_people("okvqa"),
    "vqav2": _of_ten_people("vqav2"),
    "vsr": PublishedSet(("zeroshot-test", "zeroshot-dev", "random-test", "random-dev"), _vsr, top_1_score),
    "iconvqa": PublishedSet(("test", "val"), _iconvqa, top_1_score),
    "vizwiz": PublishedSet(("val", "train"), _vizwiz, consensus_score),
    "hm": PublishedSet(("dev_seen", "dev_unseen", "test_seen", "test_unseen", "dev"), _memes, top_1_score),
}
"""The sets by the names that the paper's tables give them."""


def published_set(name: str, data: Path, split: str | None = None) -> EvaluationSet:
    """Return a split (by default the usual one) of a set that lies under a data folder, as one suite.

    Raises:
        DataError: there is no such split, a file or a picture is missing, or a row is not in the published
            form (named with its place).
    """
    published = PUBLISHED[name]
    split = split or published.splits[0]
    if split not in published.splits:
        raise DataError(f"{name} has no split {split!r}: choose one of {', '.join(published.splits)}")
    data = data.absolute()
    items = list(published.items(data, split))
    if not items:
        raise DataError(f"{data}: {name} has nothing in the split {split!r}")
    pictures = dict.fromkeys(item.image for item in items)
    missing = [picture for picture in pictures if not (data / picture).is_file()]
    if missing:
        raise DataError(f"{len(missing)} pictures of {name} are not in {data}, {missing[0]} for one")
    return EvaluationSet(
        name,
        split,
        len(pictures),
        {name: Suite(items, published.score)},
        lambda image: PictureReference(str(data / image)).read(),
    )


__all__ = ["PUBLISHED", "PublishedSet", "published_set"]

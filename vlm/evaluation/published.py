"""The evaluation datasets of the paper, read in their published layouts under one data folder.

Prompts and measures follow the reference (github.com/Vision-CAIR/MiniGPT-4, `eval_scripts`). Its prompts are
used for models of its prompt form; others get the plain question in their own form.

Datasets that are also trained on use the readers and paths of training; the paths of the others are

| set | files |
|---|---|
| `vsr` | `vsr/splits/zeroshot/test.jsonl` (or `random`), `vsr/images/` |
| `iconvqa` | IconQA: `iconqa_data/problems.json`, `pid_splits.json`, `iconqa/test/choose_txt/ID/image.png` |
| `vizwiz` | `vizwiz/Annotations/val.json`, `vizwiz/val/` |
| `hm` | Hateful Memes: `hateful_memes/dev_seen.jsonl`, `hateful_memes/img/` |
| `chair` | `coco/annotations/instances_val2014.json`, `captions_val2014.json`, `coco/val2014/` |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..answers import Request
from ..data.configuration import SourceConfig
from ..data.records import ImageReference
from ..data.sources import open_source
from ..data.sources.base import (
    Published,
    Row,
    json_pairs,
    json_rows,
    line_rows,
    parse_line,
    parse_row,
    read_records,
)
from ..data.sources.coco import image_2014
from ..data.sources.refcoco import referred_object
from ..data.sources.vqa import Answer, question_with_answers
from ..errors import DataError
from ..grounding import Box
from ..released.prompt_form import SHORT_ANSWER
from ..tasks import Task
from .chair import INSTANCES, PROMPTS, chair_items, chair_score
from .items import EvaluationSet, Item, Score, Suite
from .localization import rec_score
from .text_suites import agreement_score, consensus_score, exact_score

_OR_UNANSWERABLE = (
    "The question is '{}' Based on the image, answer the question with a single word or phrase. "
    "and reply 'unanswerable' when the provided information is insufficient"
)


def _of_expressions(name: str, *splits: str) -> PublishedSet:
    """Return a dataset of referring expressions, with exact boxes instead of the bins of training."""

    def items(data: Path, split: str) -> Iterator[Item]:
        def of(content: Any) -> Iterator[Item]:
            thing = referred_object(content)
            boxes = (Box.from_fractions(*thing.box),)
            for it in thing.expressions:
                image = f"coco/train2014/{thing.file_name}"
                request = Request(Task.REFER, it, typed=f"give me the location of {it}")
                yield Item(image, request, (it,), boxes, (thing.box, thing.size))

        return _items(open_source(name, data, SourceConfig(split=split)).rows(), of)

    folder = "refcoco/refcoco+" if name == "refcoco_plus" else f"refcoco/{name}"
    return PublishedSet(folder, splits, items, rec_score)


def _gqa(data: Path, split: str) -> Iterator[Item]:
    for record in read_records(open_source("gqa", data, SourceConfig(split=split))):
        (turn,) = record.turns
        path = record.picture.path if record.picture else ""
        yield _short(os.path.relpath(path, data), turn.argument, turn.answer)


def _of_ten_people(name: str) -> PublishedSet:
    """Return a dataset in the format of VQAv2, with all ten answers (training uses the most frequent one)."""

    def items(data: Path, split: str) -> Iterator[Item]:
        def of(content: Any) -> Iterator[Item]:
            question, annotation = question_with_answers(content)
            image = image_2014(Path("coco"), split, annotation.image_id)
            yield _short(image.path, question, *(it.answer for it in annotation.answers))

        return _items(open_source(name, data, SourceConfig(split=split)).rows(), of)

    return PublishedSet(name, ("val", "train"), items, consensus_score)


class Statement(Published):
    """One line of VSR."""

    image: str
    caption: str
    label: Literal[0, 1]


def _vsr(data: Path, split: str) -> Iterator[Item]:
    def of(line: bytes) -> Iterator[Item]:
        row = Statement.model_validate(parse_line(line))
        asked = f"Based on the image, is this statement true or false? {row.caption}"
        request = Request(Task.VQA, asked, typed=asked)
        yield _item(f"vsr/images/{row.image}", request, "true" if row.label else "false")

    kind, _, part = split.partition("-")
    return _items(line_rows(data / "vsr" / "splits" / kind / f"{part}.jsonl"), of)


class Problem(Published):
    """One problem of IconQA."""

    question: str
    choices: list[str]
    answer: int


def _iconvqa(data: Path, split: str) -> Iterator[Item]:
    """Yield questions with text choices, of which the likeliest is the answer."""
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
            image = f"iconqa_data/iconqa/{split}/choose_txt/{number}/image.png"
            item = _short(image, row.question, row.choices[row.answer])
            yield replace(item, choices=tuple(row.choices))

    return _items(json_pairs(folder / "problems.json"), of)


class VizWizQuestion(Published):
    """One item of VizWiz's annotations."""

    image: str
    question: str
    answers: list[Answer]


def _vizwiz(data: Path, split: str) -> Iterator[Item]:
    def of(content: Any) -> Iterator[Item]:
        row = VizWizQuestion.model_validate(content)
        request = Request(Task.VQA, row.question, typed=_OR_UNANSWERABLE.format(row.question))
        yield _item(f"vizwiz/{split}/{row.image}", request, *(it.answer for it in row.answers))

    return _items(json_rows(data / "vizwiz" / "Annotations" / f"{split}.json", ""), of)


class Meme(Published):
    """One line of Hateful Memes."""

    img: str
    text: str
    label: Literal[0, 1]


def _memes(data: Path, split: str) -> Iterator[Item]:
    def of(line: bytes) -> Iterator[Item]:
        row = Meme.model_validate(parse_line(line))
        # Spelled as in the reference, and without an identifier.
        asked = f"This is an image writting '{row.text}'. Is this image hateful? Answer yes or no. Answer:"
        request = Request(None, asked, typed=asked)
        yield _item(f"hateful_memes/{row.img}", request, "yes" if row.label else "no")

    return _items(line_rows(data / "hateful_memes" / f"{split}.jsonl"), of)


def _items(rows: Iterable[Row], of: Callable[[Any], Iterable[Item]]) -> Iterator[Item]:
    return (item for row in rows for item in parse_row(row, of))


def _short(image: str, question: str, *answers: str) -> Item:
    """Return a question with the reference's instruction to answer briefly."""
    return _item(image, Request(Task.VQA, question, typed=SHORT_ANSWER.format(argument=question)), *answers)


def _item(image: str, request: Request, *answers: str) -> Item:
    if not answers:
        raise ValueError("answers: there are none")
    return Item(image, request, answers)


@dataclass(frozen=True)
class PublishedSet:
    """A dataset: its folder or own file, its splits (the default first), their reader, and its measure."""

    folder: str
    splits: tuple[str, ...]
    items: Callable[[Path, str], Iterable[Item]]
    score: Score


PUBLISHED: dict[str, PublishedSet] = {
    "refcoco": _of_expressions("refcoco", "val", "testA", "testB"),
    "refcoco_plus": _of_expressions("refcoco_plus", "val", "testA", "testB"),
    "refcocog": _of_expressions("refcocog", "val", "test"),
    "gqa": PublishedSet("gqa", ("testdev", "val"), _gqa, exact_score),
    "okvqa": _of_ten_people("okvqa"),
    "vqav2": _of_ten_people("vqav2"),
    "vsr": PublishedSet(
        "vsr", ("zeroshot-test", "zeroshot-dev", "random-test", "random-dev"), _vsr, exact_score
    ),
    "iconvqa": PublishedSet("iconqa_data", ("test", "val"), _iconvqa, exact_score),
    "vizwiz": PublishedSet("vizwiz", ("val", "train"), _vizwiz, agreement_score),
    "hm": PublishedSet(
        "hateful_memes", ("dev_seen", "dev_unseen", "test_seen", "test_unseen", "dev"), _memes, exact_score
    ),
    "chair": PublishedSet(INSTANCES, tuple(PROMPTS), chair_items, chair_score),
}
"""The datasets by their names in the paper's tables."""


PAPER: dict[str, float] = {
    "okvqa": 57.8,
    "gqa": 60.1,
    "vsr": 62.9,
    "iconvqa": 51.5,
    "vizwiz": 53.6,
    "hm": 58.8,
    "refcoco val": 88.69,
    "refcoco testA": 91.65,
    "refcoco testB": 85.33,
    "refcoco_plus val": 79.97,
    "refcoco_plus testA": 85.12,
    "refcoco_plus testB": 74.45,
    "refcocog val": 84.44,
    "refcocog test": 84.66,
    "chair long": 8.7,
    "chair grounded": 7.6,
    "chair short": 4.4,
}
"""MiniGPT-v2's figures in percent (arXiv 2310.09478), by dataset and, where it has several, split.

CHAIR's (lower is better) is the share of hallucinated objects.
"""


def paper_set(data: Path) -> EvaluationSet:
    """Return the datasets of the paper's tables under a data folder, one suite per dataset and split.

    Raises:
        DataError: there are none, or one is incomplete.
    """
    suites: dict[str, Suite] = {}
    pictures = 0
    for name in PAPER:
        which, _, split = name.partition(" ")
        if (data / PUBLISHED[which].folder).exists():
            found = published_set(which, data, split or None)
            suites[name] = found.suites[which]
            pictures += found.pictures
    if not suites:
        folders = ", ".join(dict.fromkeys(PUBLISHED[name.split()[0]].folder for name in PAPER))
        raise DataError(f"{data} has none of the paper's datasets: there is no {folders}")
    read = data.absolute()
    return EvaluationSet(
        "paper", "", pictures, suites, lambda image: ImageReference(str(read / image)).read()
    )


def published_set(name: str, data: Path, split: str | None = None) -> EvaluationSet:
    """Return a split of a dataset under a data folder as one suite, by default its first split.

    Raises:
        DataError: the split does not exist, a file or an image is missing, or a row is invalid (it is named).
    """
    published = PUBLISHED[name]
    split = split or published.splits[0]
    if split not in published.splits:
        raise DataError(f"{name} has no split {split!r}: choose one of {', '.join(published.splits)}")
    data = data.absolute()
    items = list(published.items(data, split))
    if not items:
        raise DataError(f"{data}: {name} has no items in the split {split!r}")
    pictures = dict.fromkeys(item.image for item in items)
    missing = [image for image in pictures if not (data / image).is_file()]
    if missing:
        raise DataError(f"{data} lacks {len(missing)} images of {name}, for example {missing[0]}")
    return EvaluationSet(
        name,
        split,
        len(pictures),
        {name: Suite(items, published.score)},
        lambda image: ImageReference(str(data / image)).read(),
    )

"""The evaluation sets of the paper, read where they lie on disk in their published layout.

| set | files in the folder |
|---|---|
| `okvqa` | `OpenEnded_mscoco_val2014_questions.json`, `mscoco_val2014_annotations.json`, `val2014/` |
| `vqav2` | the same two files with `v2_` before their names, `val2014/` |
| `gqa` | `testdev_balanced_questions.json` (or in `questions/`), `images/` |
| `vsr` | `splits/zeroshot/test.jsonl` (or `random`), `images/` |
| `iconvqa` | IconQA's `problems.json`, `pid_splits.json`, `iconqa/test/choose_txt/ID/image.png` |
| `vizwiz` | `Annotations/val.json` (or `val.json`), `val/` |
| `hm` | Hateful Memes: `dev_seen.jsonl`, `img/` |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from PIL import Image
from pydantic import BaseModel, ValidationError

from ..answers import Request
from ..errors import DataError, ImageError
from ..pictures import open_picture
from ..tasks import Task
from .items import EvaluationSet, Item, Score, Suite
from .telling import consensus_score, top_1_score

Row = TypeVar("Row", bound=BaseModel)


class _Answer(BaseModel):
    answer: str


class _VqaQuestion(BaseModel):
    question_id: int
    image_id: int
    question: str


class _VqaAnnotation(BaseModel):
    question_id: int
    answers: list[_Answer]


class _VizWizQuestion(BaseModel):
    image: str
    question: str
    answers: list[_Answer]


class _GqaQuestion(BaseModel):
    question: str
    imageId: str  # noqa: N815
    answer: str


class _VsrStatement(BaseModel):
    image: str
    caption: str
    label: Literal[0, 1]


class _IconProblem(BaseModel):
    question: str
    choices: list[str]
    answer: int


class _Meme(BaseModel):
    img: str
    text: str
    label: Literal[0, 1]


def _vqa(prefix: str) -> Callable[[Path, str], Iterator[Item]]:
    """Return the reader of VQAv2's form, whose files' names begin with `prefix`."""

    def read(folder: Path, split: str) -> Iterator[Item]:
        asked = _existing(folder, f"{prefix}OpenEnded_mscoco_{split}2014_questions.json")
        told = _existing(folder, f"{prefix}mscoco_{split}2014_annotations.json")
        answers = {
            row.question_id: tuple(it.answer for it in row.answers)
            for _, row in _checked(told, _listed(told, "annotations"), _VqaAnnotation)
        }
        for where, row in _checked(asked, _listed(asked, "questions"), _VqaQuestion):
            if not answers.get(row.question_id):
                raise DataError(f"{where}: question_id: {told.name} has no answer to {row.question_id}")
            picture = f"{split}2014/COCO_{split}2014_{row.image_id:012}.jpg"
            yield _question(picture, row.question, *answers[row.question_id])

    return read


def _gqa(folder: Path, split: str) -> Iterator[Item]:
    name = f"{split}_balanced_questions.json"
    path = _existing(folder, name, f"questions/{name}")
    for _, row in _checked(path, _keyed(path), _GqaQuestion):
        yield _question(f"images/{row.imageId}.jpg", row.question, row.answer)


def _vsr(folder: Path, split: str) -> Iterator[Item]:
    kind, _, part = split.partition("-")
    path = _existing(folder, f"splits/{kind}/{part}.jsonl")
    for _, row in _checked(path, _lines(path), _VsrStatement):
        asked = f"based on the image, is this statement true or false? {row.caption}"
        yield _question(f"images/{row.image}", asked, *(("true", "yes") if row.label else ("false", "no")))


def _iconvqa(folder: Path, split: str) -> Iterator[Item]:
    """Questions with choices in words; the reference ranks those, here the answer must be the right one."""
    splits, problems = _existing(folder, "pid_splits.json"), _existing(folder, "problems.json")
    wanted = set(dict(_keyed(splits)).get(f"choose_txt_{split}", ()))
    if not wanted:
        raise DataError(f"{splits}: choose_txt_{split}: no such split")
    rows = ((key, value) for key, value in _keyed(problems) if key in wanted)
    for where, row in _checked(problems, rows, _IconProblem):
        if not 0 <= row.answer < len(row.choices):
            raise DataError(f"{where}: answer: there is no choice {row.answer}")
        pid = where.rpartition(":")[2]
        yield _question(f"iconqa/{split}/choose_txt/{pid}/image.png", row.question, row.choices[row.answer])


def _vizwiz(folder: Path, split: str) -> Iterator[Item]:
    path = _existing(folder, f"Annotations/{split}.json", f"{split}.json")
    for _, row in _checked(path, _listed(path), _VizWizQuestion):
        yield _question(f"{split}/{row.image}", row.question, *(it.answer for it in row.answers))


def _memes(folder: Path, split: str) -> Iterator[Item]:
    path = _existing(folder, f"{split}.jsonl")
    for _, row in _checked(path, _lines(path), _Meme):
        asked = f"this is an image with the words '{row.text}' on it. is it hateful? answer yes or no."
        yield _question(row.img, asked, "yes" if row.label else "no")


def _question(picture: str, asked: str, *answers: str) -> Item:
    return Item(picture, Request(Task.VQA, asked), answers)


@dataclass(frozen=True)
class PublishedSet:
    """A data set: its splits, the usual one first, its reader and its own measure."""

    splits: tuple[str, ...]
    read: Callable[[Path, str], Iterator[Item]]
    score: Score


PUBLISHED: dict[str, PublishedSet] = {
    "okvqa": PublishedSet(("val", "train"), _vqa(""), consensus_score),
    "vqav2": PublishedSet(("val", "train"), _vqa("v2_"), consensus_score),
    "gqa": PublishedSet(("testdev", "val"), _gqa, top_1_score),
    "vsr": PublishedSet(("zeroshot-test", "zeroshot-dev", "random-test", "random-dev"), _vsr, top_1_score),
    "iconvqa": PublishedSet(("test", "val"), _iconvqa, top_1_score),
    "vizwiz": PublishedSet(("val", "train"), _vizwiz, consensus_score),
    "hm": PublishedSet(("dev_seen", "dev_unseen", "test_seen", "test_unseen", "dev"), _memes, top_1_score),
}
"""The sets by the names that the paper's tables give them."""


def published_set(name: str, folder: Path, split: str | None = None) -> EvaluationSet:
    """Return a published set's split (by default its usual one) as the one suite over it.

    Raises:
        DataError: there is no such split, a file or a picture is missing, or a row is not in the published
            form (named with its place).
    """
    published = PUBLISHED[name]
    split = split or published.splits[0]
    if split not in published.splits:
        raise DataError(f"{name} has no split {split!r}: choose one of {', '.join(published.splits)}")
    items = list(published.read(folder, split))
    if not items:
        raise DataError(f"{folder}: {name} ({split}) has no question")
    pictures = dict.fromkeys(item.image for item in items)
    missing = [picture for picture in pictures if not (folder / picture).is_file()]
    if missing:
        raise DataError(f"{len(missing)} pictures are not in {folder}, {missing[0]} for one")

    def read(image: str) -> Image.Image:
        try:
            return open_picture(folder / image).image
        except ImageError as error:
            raise DataError(str(error)) from error

    return EvaluationSet(name, split, len(pictures), {name: Suite(items, published.score)}, read)


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"no {names[0]} in {folder}: --data wants the data set as it is published")


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield str(number), _json(line, f"{path}:{number}")


def _listed(path: Path, key: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a list, or of the list under a key, by their number."""
    content = _json(path.read_text(encoding="utf-8"), str(path))
    rows = content if key is None else content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"{path}: no list{f' {key!r}' if key else ''} in it")
    yield from ((str(number), row) for number, row in enumerate(rows, start=1))


def _keyed(path: Path) -> Iterator[tuple[str, Any]]:
    content = _json(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(content, dict):
        raise DataError(f"{path}: no object in it")
    yield from content.items()


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error}") from error


def _checked(path: Path, rows: Iterable[tuple[str, Any]], form: type[Row]) -> Iterator[tuple[str, Row]]:
    """Yield rows in their published form, each with its place `file:row`."""
    for key, row in rows:
        try:
            yield f"{path}:{key}", form.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise DataError(f"{path}:{key}: {field}: {first['msg']}") from error


__all__ = ["PUBLISHED", "PublishedSet", "published_set"]

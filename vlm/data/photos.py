"""Annotated photos on disk: `annotations.jsonl` beside tar shards of pictures.

One JSON object a line: `image` (the member's name in a shard), `source`, `split`, and any of `captions`
(sentences), `objects` (`label`, `score`, `box` as fractions 0..1 of width and height), `questions`
(`question`, `answer`: a list) and `name` (the class of the one thing shown).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import DataError, ImageError
from ..pictures import open_picture

Fraction = Field(ge=0.0, le=1.0)


class DetectedObject(BaseModel):
    """A detector's box; `box` is `(x0, y0, x1, y1)` in fractions of width and height."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    score: float = Fraction
    box: tuple[float, float, float, float]


class Question(BaseModel):
    """A question and its answer, a list of words where several things are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: str
    answer: tuple[str, ...]


class Photo(BaseModel):
    """One line of `annotations.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: str
    source: str
    split: str
    captions: tuple[str, ...] = ()
    objects: tuple[DetectedObject, ...] = ()
    questions: tuple[Question, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class _Member:
    shard: Path
    offset: int
    size: int


class PhotoFolder:
    """A folder of annotated photos; pictures are read from the shards one at a time, on demand.

    Raises:
        DataError: a file is missing, or a line is not in the promised form (named with its number).
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        self.split = split
        annotations = folder / "annotations.jsonl"
        if not annotations.is_file():
            raise DataError(f"no {annotations}: --data wants a folder with annotations.jsonl and tar shards")
        self.photos = [photo for photo in _read_annotations(annotations) if photo.split == split]
        if not self.photos:
            raise DataError(f"{annotations} has no photo in the split {split!r}")
        self._members = dict(_index_shards(folder))
        missing = [photo.image for photo in self.photos if photo.image not in self._members]
        if missing:
            raise DataError(f"{len(missing)} photos are in no shard of {folder}, {missing[0]} for one")

    def read(self, photo: Photo) -> Image.Image:
        """Return the picture in RGB, upright.

        Raises:
            DataError: the picture is damaged.
        """
        member = self._members[photo.image]
        with member.shard.open("rb") as shard:
            shard.seek(member.offset)
            content = shard.read(member.size)
        try:
            return open_picture(content).image
        except ImageError as error:
            raise DataError(f"{member.shard}: {photo.image}: {error}") from error


def _read_annotations(path: Path) -> Iterator[Photo]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _within_the_picture(Photo.model_validate(json.loads(line)), f"{path}:{number}")
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON: {error}") from error
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join(map(str, first["loc"]))
                raise DataError(f"{path}:{number}: {field}: {first['msg']}") from error


def _within_the_picture(photo: Photo, where: str) -> Photo:
    for index, item in enumerate(photo.objects):
        if not all(0.0 <= value <= 1.0 for value in item.box):
            raise DataError(f"{where}: objects.{index}.box: {item.box} is not in fractions 0..1")
    return photo


def _index_shards(folder: Path) -> Iterator[tuple[str, _Member]]:
    for shard in sorted(folder.glob("*.tar")):
        try:
            with tarfile.open(shard) as archive:
                for item in archive:
                    yield item.name, _Member(shard, item.offset_data, item.size)
        except tarfile.TarError as error:
            raise DataError(f"{shard} is no whole tar file: {error}") from error


__all__ = ["DetectedObject", "Photo", "PhotoFolder", "Question"]

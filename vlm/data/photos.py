"""Annotated photos on disk: `annotations.jsonl` beside tar shards of pictures.

One JSON object a line: `image` (the member's name in a shard), `source`, `split`, and any of `captions`
(sentences), `objects` (`label`, `score`, `box` as fractions 0..1 of width and height), `questions`
(`question`, `answer`: a list) and `name` (the class of the one thing shown).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import DataError
from .broken import Skipped, first_complaint
from .records import PictureReference
from .tar_files import tar_members

Fraction = Field(ge=0.0, le=1.0)


class DetectedObject(BaseModel):
    """A detector's box; `box` is `(x0, y0, x1, y1)` in fractions of width and height.

    `colours` is how much of the thing has which colour, 0..1, where that was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    score: float = Fraction
    box: tuple[float, float, float, float]
    colours: dict[str, float] = {}


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


class PhotoFolder:
    """A folder of annotated photos; pictures are read from the shards one at a time, on demand.

    Lines that are not in the promised form, and photos that are in no shard, are an error, or they are left
    out and counted with `skip_broken`.

    Raises:
        DataError: a file is missing, or a line is not in the promised form (named with its number).
    """

    def __init__(self, folder: Path, split: str, *, skip_broken: bool = False) -> None:
        self.folder = folder
        self.split = split
        annotations, *shards = self.files()
        if not annotations.is_file():
            raise DataError(
                f"no {annotations}: name a folder of annotated photos, or see docs/data.md for other data"
            )
        self._members = {name: place for shard in shards for name, place in tar_members(shard)}
        photos = _read_annotations(annotations, self._members, skip_broken=skip_broken)
        self.photos = [photo for photo in photos if photo.split == split]
        if not self.photos:
            raise DataError(f"{annotations} has no photo in the split {split!r}")

    def files(self) -> list[Path]:
        """Return the files that the folder's photos come from."""
        return [self.folder / "annotations.jsonl", *sorted(self.folder.glob("*.tar"))]

    def reference(self, photo: Photo) -> PictureReference:
        """Return where the picture lies."""
        return self._members[photo.image]

    def read(self, photo: Photo) -> Image.Image:
        """Return the picture in RGB, upright.

        Raises:
            DataError: the picture is damaged.
        """
        return self.reference(photo).read()


def _read_annotations(
    path: Path, members: Mapping[str, PictureReference], *, skip_broken: bool
) -> Iterator[Photo]:
    skipped = Skipped(path)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _photo(line, members, f"{path}:{number}")
            except DataError as error:
                if not skip_broken:
                    raise
                skipped.tell(error)
    skipped.sum_up()


def _photo(line: bytes, members: Mapping[str, PictureReference], where: str) -> Photo:
    try:
        photo = Photo.model_validate(json.loads(line))
    except ValidationError as error:
        raise DataError(f"{where}: {first_complaint(error)}") from error
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}") from error
    if photo.image not in members:
        raise DataError(f"{where}: image: {photo.image} is in no shard of the folder")
    return _within_the_picture(photo, where)


def _within_the_picture(photo: Photo, where: str) -> Photo:
    for index, item in enumerate(photo.objects):
        x0, y0, x1, y1 = item.box
        if not (0.0 <= x0 < x1 <= 1.0 and 0.0 <= y0 < y1 <= 1.0):
            raise DataError(
                f"{where}: objects.{index}.box: {item.box} is not left, top, right, bottom in fractions 0..1"
            )
    return photo


__all__ = ["DetectedObject", "Photo", "PhotoFolder", "Question"]

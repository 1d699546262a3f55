"""Read annotated photos: `annotations.jsonl` with tar shards of images, in a folder and its subfolders.

One JSON object per line: `image` (the member's name in a shard), `source`, `split`, and any of `captions`
(sentences), `objects` (`label`, `score`, `box` as fractions 0..1 of width and height), `questions`
(`question`, `answer`: a list) and `name` (the class of the single object shown).

Other `.jsonl` files in the same folder extend the photos: their `objects` replace those of
`annotations.jsonl`, and their `captions` come with `phrases` and the boxes that people drew for them
(Flickr30k Entities, Plummer et al. 2015).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ..errors import DataError
from .detokenising import detokenise, detokenised_span
from .records import ImageReference
from .skipped_rows import SkippedRows
from .sources.base import line_rows, parse_row
from .tar_files import tar_members

Parsed = TypeVar("Parsed")

ANNOTATIONS = "annotations.jsonl"
NOT_VISUAL = "notvisual"
"""The type of phrases for things that are not visible."""

Fraction = Field(ge=0.0, le=1.0)
Index = Annotated[int, Field(ge=0)]


class DetectedObject(BaseModel):
    """A detected object; `box` is `(x0, y0, x1, y1)` in fractions of width and height.

    `colours` maps colour names to their share of the object, 0..1, if measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    score: float = Fraction
    box: tuple[float, float, float, float]
    colours: dict[str, float] = {}


class Question(BaseModel):
    """A question and its answer, with several words if it asks for several things."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: str
    answer: tuple[str, ...]


class Phrase(BaseModel):
    """A phrase of a caption and the boxes that people drew for it, `(x0, y0, x1, y1)` in fractions.

    `caption` is the index of the caption and `start` the offset of the phrase in it. Phrases of one `chain`
    refer to the same thing, across captions. `boxes` is empty if people drew none or a crop cut one off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    caption: Index
    start: Index
    type: str
    chain: str
    boxes: tuple[tuple[float, float, float, float], ...] = ()

    @property
    def end(self) -> int:
        """The end offset of the phrase in its caption."""
        return self.start + len(self.text)


class Photo(BaseModel):
    """One line of `annotations.jsonl`, extended by other files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: str
    source: str
    split: str
    captions: tuple[str, ...] = ()
    objects: tuple[DetectedObject, ...] = ()
    questions: tuple[Question, ...] = ()
    name: str | None = None
    phrases: tuple[Phrase, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of its objects, in the order in which they first occur."""
        return tuple(dict.fromkeys(it.label for it in self.objects))


class _PublishedPhrase(BaseModel):
    """A phrase as published; `span` is its characters in the tokenised caption."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    caption: Index
    span: tuple[Index, Index]
    type: str
    chain: str
    boxes: tuple[tuple[float, float, float, float], ...] = ()


class _Addition(BaseModel):
    """One line of another file, which extends a photo."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: str
    split: str | None = None
    objects: tuple[DetectedObject, ...] | None = None
    captions: tuple[str, ...] = ()
    phrases: tuple[_PublishedPhrase, ...] = ()

    def added_to(self, photo: Photo) -> Photo:
        """Return the photo with the objects, captions and phrases of this line."""
        update: dict[str, object] = {} if self.objects is None else {"objects": self.objects}
        if self.captions:
            update["captions"] = tuple(map(detokenise, self.captions))
            update["phrases"] = tuple(self._phrase(it) for it in self.phrases if it.type != NOT_VISUAL)
        return photo.model_copy(update=update)

    def _phrase(self, phrase: _PublishedPhrase) -> Phrase:
        if phrase.caption >= len(self.captions):
            raise ValueError(f"phrases: there is no caption {phrase.caption}")
        caption = self.captions[phrase.caption]
        start, end = detokenised_span(caption, *phrase.span)
        text = detokenise(caption)[start:end]
        return Phrase(text=text, start=start, **phrase.model_dump(exclude={"span"}))


class PhotoFolder:
    """A folder of annotated photos; images are read from the shards on demand.

    Invalid lines, and photos that are in no shard, are an error; with `skip_broken` they are skipped and
    counted.

    Raises:
        DataError: a file is missing, or a line is invalid (the error names its number).
    """

    def __init__(self, folder: Path, split: str, *, skip_broken: bool = False) -> None:
        self.folder = folder
        self.split = split
        annotations = sorted(folder.glob(f"**/{ANNOTATIONS}"))
        self._folders = [file.parent for file in annotations]
        if not annotations and (written := sorted(folder.glob("*.jsonl"))):
            raise DataError(f"no {folder / ANNOTATIONS}: name a file of records, such as {written[0]}")
        if not annotations:
            raise DataError(
                f"no {folder / ANNOTATIONS}: name a folder of annotated photos, or see docs/data.md for "
                "other data"
            )
        shards = [shard for place in self._folders for shard in sorted(place.glob("*.tar"))]
        self._members = {name: place for shard in shards for name, place in tar_members(shard)}
        photos = {
            photo.image: photo
            for file in annotations
            for photo in _read_lines(file, self._photo, skip_broken)
            if photo.split == split
        }
        if not photos:
            raise DataError(f"{annotations[0]} has no photo in the split {split!r}")
        for file in annotations:
            for other in sorted(set(file.parent.glob("*.jsonl")) - {file}):
                _extend(photos, other, skip_broken)
        self.photos = list(photos.values())

    def _photo(self, line: Any) -> Photo:
        """Return the photo of a line of `annotations.jsonl`."""
        photo = Photo.model_validate(line)
        if photo.image not in self._members:
            raise ValueError(f"image: {photo.image} is in no shard of the folder")
        return _with_checked_boxes(photo)

    def files(self) -> list[Path]:
        """Return all annotation files and shards."""
        return sorted(
            path for place in self._folders for kind in ("*.jsonl", "*.tar") for path in place.glob(kind)
        )

    def reference(self, photo: Photo) -> ImageReference:
        """Return the location of the photo's image."""
        return self._members[photo.image]

    def read(self, photo: Photo) -> Image.Image:
        """Return the photo's image in RGB, upright.

        Raises:
            DataError: the image is damaged.
        """
        return self.reference(photo).read()


def _extend(photos: dict[str, Photo], path: Path, skip_broken: bool) -> None:
    """Extend the photos with the lines of another file; lines about unknown photos are ignored."""

    def extend(line: Any) -> None:
        addition = _Addition.model_validate(line)
        if addition.image in photos:
            photo = _with_checked_boxes(addition.added_to(photos[addition.image]))
            photos[addition.image] = photo

    for _ in _read_lines(path, extend, skip_broken):
        pass


def _read_lines(path: Path, reader: Callable[[Any], Parsed], skip_broken: bool) -> Iterator[Parsed]:
    """Yield what a reader makes of each line; invalid ones are an error, or skipped and counted."""

    def read(line: bytes) -> list[Parsed]:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from error
        return [reader(content)]

    skipped = SkippedRows(path)
    for row in line_rows(path):
        try:
            yield from parse_row(row, read)
        except DataError as error:
            if not skip_broken:
                raise
            skipped.add(error)
    skipped.log_total()


def _with_checked_boxes(photo: Photo) -> Photo:
    boxes = [(f"objects.{index}.box", item.box) for index, item in enumerate(photo.objects)]
    boxes += [(f"phrases.{index}.boxes", box) for index, it in enumerate(photo.phrases) for box in it.boxes]
    for name, (x0, y0, x1, y1) in boxes:
        if not (0.0 <= x0 < x1 <= 1.0 and 0.0 <= y0 < y1 <= 1.0):
            raise ValueError(f"{name}: {(x0, y0, x1, y1)} is not left, top, right, bottom in fractions 0..1")
    return photo

"""RefCOCO, RefCOCO+ and RefCOCOg as REFER publishes them: `refs(unc).p` beside `instances.json`.

The reference is https://github.com/lichengunc/refer. The expressions are a Python pickle, which can run any
code when it is read; only containers, numbers and text are let through.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from ...errors import DataError
from ...grounding import Box, format_box
from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, json_index, require


class Sentence(Published):
    """One expression, `sent` in lower case without punctuation."""

    sent: str


class Reference(Published):
    """One item of the pickle: a thing, and what it was called."""

    ann_id: int
    split: str
    sentences: tuple[Sentence, ...]


class Picture(Published):
    """One item of `images`."""

    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Instance(Published):
    """One item of `annotations`; `bbox` is left, top, width, height in pixels."""

    image_id: int
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True)
class ReferredObject:
    """A thing in a picture of `train2014`, what it was called, and its box in fractions of the picture.

    `size` is the picture's, in pixels.
    """

    file_name: str
    expressions: tuple[str, ...]
    box: tuple[float, float, float, float]
    size: tuple[int, int]


def referred_object(content: tuple[Any, dict[int, Any], dict[int, Any]]) -> ReferredObject:
    """Return the thing that the content of one of `RefCoco`'s rows is about.

    Raises:
        ValueError: the row is not in the published form, or its box or picture is not among the instances.
    """
    row, boxes, pictures = content
    reference = Reference.model_validate(row)
    instance = Instance.model_validate(_known(boxes, reference.ann_id, "ann_id"))
    picture = Picture.model_validate(_known(pictures, instance.image_id, "image_id"))
    left, top, width, height = instance.bbox
    right, bottom = (left + width) / picture.width, (top + height) / picture.height
    return ReferredObject(
        picture.file_name,
        tuple(sentence.sent for sentence in reference.sentences),
        (left / picture.width, top / picture.height, right, bottom),
        (picture.width, picture.height),
    )


@dataclass(frozen=True)
class RefCoco:
    """The expressions of a split, read for `[refer]` or, reversed, for `[identify]`.

    `path` is the folder of one of the three sets, `edition` who split it (unc, umd or google), `pictures` the
    folder of COCO's pictures.
    """

    path: Path
    pictures: Path
    task: Task
    edition: str = "unc"
    split: str = "train"

    def files(self) -> list[Path]:
        """Return the expressions and the boxes."""
        return [self.path / f"refs({self.edition}).p", self.path / "instances.json"]

    def rows(self) -> Iterator[Row]:
        """Yield the things of the split, each with its expressions, its box and its picture."""
        expressions, instances = self.files()
        references = _unpickled(expressions)
        pictures = json_index(instances, "images", "id", ("file_name", "width", "height"))
        boxes = json_index(instances, "annotations", "id", ("image_id", "bbox"))
        for number, reference in enumerate(references, start=1):
            if isinstance(reference, dict) and reference.get("split") not in (self.split, None):
                continue
            yield Row(f"{expressions}, row {number}", (reference, boxes, pictures))

    def records(self, content: tuple[Any, dict[int, Any], dict[int, Any]]) -> Iterator[Record]:
        """Return a record for each expression."""
        thing = referred_object(content)
        box = Box.from_fractions(*thing.box)
        place = ImageReference(str(self.pictures / "train2014" / thing.file_name))
        for expression in thing.expressions:
            if self.task is Task.REFER:
                turn = TaskTurn(self.task, expression, format_box(box))
            else:
                turn = TaskTurn(self.task, "", expression, box)
            yield Record(place, (turn,))


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and text, which need no global name; any name is refused."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it wants {module_name}.{global_name}, which plain data has no need of")


def _unpickled(path: Path) -> list[Any]:
    """Return the list of a pickle that Python 2 wrote.

    Raises:
        DataError: it is no pickle of plain data.
    """
    with require(path).open("rb") as file:
        try:
            content = _PlainUnpickler(file, encoding="utf-8", errors="replace").load()
        except (
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise DataError(f"{path} is no pickle of plain data: {error}") from error
    if not isinstance(content, list):
        raise DataError(f"{path} holds no list: is it the file that REFER publishes?")
    return content


def _known(items: dict[int, Any], number: int, field: str) -> Any:
    if number not in items:
        raise ValueError(f"{field}: {number} is not in instances.json")
    return items[number]


__all__ = ["RefCoco", "ReferredObject", "referred_object"]

"""RefCOCO, RefCOCO+ and RefCOCOg as REFER publishes them: `refs(unc).p` and `instances.json`.

The reference is https://github.com/lichengunc/refer. The expressions are a Python pickle, which could run
arbitrary code; only containers, numbers and text are accepted.
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
    """One expression, `sent` in lower case without punctuation, `raw` as it was written."""

    sent: str
    raw: str = ""


class Reference(Published):
    """One item of the pickle: an object and its expressions."""

    ann_id: int
    split: str
    sentences: tuple[Sentence, ...]


class ImageInfo(Published):
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
    """An object in an image of `train2014`, its expressions, and its box in fractions of the image.

    `size` is the width and height of the image in pixels; `written` are the expressions as people wrote them.
    """

    file_name: str
    expressions: tuple[str, ...]
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    written: tuple[str, ...] = ()


def referred_object(content: tuple[Any, dict[int, Any], dict[int, Any]]) -> ReferredObject:
    """Parse a row of `RefCoco`.

    Raises:
        ValueError: the row is invalid, or its box or image is not among the instances.
    """
    row, boxes, pictures = content
    reference = Reference.model_validate(row)
    instance = Instance.model_validate(_known(boxes, reference.ann_id, "ann_id"))
    image = ImageInfo.model_validate(_known(pictures, instance.image_id, "image_id"))
    left, top, width, height = instance.bbox
    right, bottom = (left + width) / image.width, (top + height) / image.height
    return ReferredObject(
        image.file_name,
        tuple(sentence.sent for sentence in reference.sentences),
        (left / image.width, top / image.height, right, bottom),
        (image.width, image.height),
        tuple(sentence.raw or sentence.sent for sentence in reference.sentences),
    )


@dataclass(frozen=True)
class RefCoco:
    """The expressions of a split, read for `[refer]` or, reversed, for `[identify]`.

    `path` is the folder of one of the three datasets, `edition` the split by (unc, umd or google), `pictures`
    the folder of COCO's images. With `reference`, expressions are as people wrote them.
    """

    path: Path
    pictures: Path
    task: Task
    edition: str = "unc"
    split: str = "train"
    reference: bool = False

    def files(self) -> list[Path]:
        """Return the files of expressions and boxes."""
        return [self.path / f"refs({self.edition}).p", self.path / "instances.json"]

    def rows(self) -> Iterator[Row]:
        """Yield the objects of the split, with the indexes of boxes and images."""
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
        for expression in thing.written if self.reference else thing.expressions:
            if self.task is Task.REFER:
                turn = TaskTurn(self.task, expression, format_box(box))
            else:
                turn = TaskTurn(self.task, "", expression, box)
            yield Record(place, (turn,))


class _PlainUnpickler(pickle.Unpickler):
    """Accepts containers, numbers and text, which need no global name; refuses all names."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(
            f"it asks for {module_name}.{global_name}, which plain data does not need"
        )


def _unpickled(path: Path) -> list[Any]:
    """Return the list in a pickle of Python 2.

    Raises:
        DataError: it is not a pickle of plain data.
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
            raise DataError(f"{path} is not a pickle of plain data: {error}") from error
    if not isinstance(content, list):
        raise DataError(f"{path} does not hold a list: is it the file that REFER publishes?")
    return content


def _known(items: dict[int, Any], number: int, field: str) -> Any:
    if number not in items:
        raise ValueError(f"{field}: {number} is not in instances.json")
    return items[number]

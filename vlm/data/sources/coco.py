"""MS COCO captions, `captions_SPLIT2017.json` with `SPLIT2017/`, and the paths of COCO's images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, SplitFile


class Caption(Published):
    """One item of `annotations`."""

    image_id: int
    caption: str


class CocoCaptions(SplitFile):
    """The captions of a split; `path` is the annotation folder, `pictures` the folder of COCO's images."""

    file = "captions_{split}2017.json"
    items = "annotations"

    def records(self, content: object) -> Iterator[Record]:
        """Return a caption."""
        row = Caption.model_validate(content)
        image = image_2017(self.pictures, self.split, row.image_id)
        yield Record(image, (TaskTurn(Task.CAPTION, "", row.caption.strip()),))


def image_2014(pictures: Path, split: str, number: int) -> ImageReference:
    """Return an image of COCO 2014: `train2014/COCO_train2014_000000000009.jpg`."""
    return ImageReference(str(pictures / f"{split}2014" / f"COCO_{split}2014_{number:012}.jpg"))


def image_2017(pictures: Path, split: str, number: int) -> ImageReference:
    """Return an image of COCO 2017: `train2017/000000000009.jpg`."""
    return ImageReference(str(pictures / f"{split}2017" / f"{number:012}.jpg"))

"""TextCaps 0.1: `TextCaps_0.1_SPLIT.json`, with the images of TextVQA (`train_images/IMAGE_ID.jpg`)."""

from __future__ import annotations

from collections.abc import Iterator

from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, SplitFile


class Caption(Published):
    """One item of `data`."""

    image_id: str
    caption_str: str


class TextCaps(SplitFile):
    """The captions of a split; `pictures` is the folder that holds `train_images`."""

    file = "TextCaps_0.1_{split}.json"
    items = "data"

    def records(self, content: object) -> Iterator[Record]:
        """Return a caption."""
        row = Caption.model_validate(content)
        # Train and val share one image folder.
        image = ImageReference(str(self.pictures / "train_images" / f"{row.image_id}.jpg"))
        yield Record(image, (TaskTurn(Task.CAPTION, "", row.caption_str.strip()),))

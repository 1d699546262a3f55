"""TextCaps 0.1: `TextCaps_0.1_SPLIT.json`, with the images of TextVQA (`train_images/IMAGE_ID.jpg`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, json_rows


class Caption(Published):
    """One item of `data`."""

    image_id: str
    caption_str: str


@dataclass(frozen=True)
class TextCaps:
    """The captions of a split; `pictures` is the folder that holds `train_images`."""

    path: Path
    pictures: Path
    split: str = "train"

    def files(self) -> list[Path]:
        """Return the caption file."""
        return [self.path / f"TextCaps_0.1_{self.split}.json"]

    def rows(self) -> Iterator[Row]:
        """Yield the captions."""
        return json_rows(self.files()[0], "data")

    def records(self, content: object) -> Iterator[Record]:
        """Return a caption."""
        row = Caption.model_validate(content)
        # Train and val share one image folder.
        image = ImageReference(str(self.pictures / "train_images" / f"{row.image_id}.jpg"))
        yield Record(image, (TaskTurn(Task.CAPTION, "", row.caption_str.strip()),))


__all__ = ["TextCaps"]

"""Visual Genome: `region_descriptions.json` and `image_data.json`, images in `VG_100K` and `VG_100K_2`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from ...grounding import Box, format_box
from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from .base import Published, Row, json_index, json_rows

# Larger regions are scenes rather than objects; the reference drops them too, after OFA.
LARGEST = 16384


class ImageInfo(Published):
    """One item of `image_data.json`."""

    url: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Region(Published):
    """One region of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int
    phrase: str


class Regions(Published):
    """One item of `region_descriptions.json`."""

    id: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class VisualGenome:
    """The regions smaller than 16384 pixels, for `[refer]`."""

    path: Path
    pictures: Path

    def files(self) -> list[Path]:
        """Return the files of regions and image sizes."""
        return [self.path / "region_descriptions.json", self.path / "image_data.json"]

    def rows(self) -> Iterator[Row]:
        """Yield the regions of each image, with the sizes of all images."""
        regions, pictures = self.files()
        sizes = json_index(pictures, "", "image_id", ("url", "width", "height"))
        for row in json_rows(regions, ""):
            yield Row(row.where, (row.content, sizes))

    def records(self, content: tuple[Any, dict[int, Any]]) -> Iterator[Record]:
        """Return a record for each region."""
        row, sizes = content
        annotated = Regions.model_validate(row)
        if annotated.id not in sizes:
            raise ValueError(f"id: {annotated.id} is not in image_data.json")
        image = ImageInfo.model_validate(sizes[annotated.id])
        folder, name = PurePosixPath(urlsplit(image.url).path).parts[-2:]
        place = ImageReference(str(self.pictures / folder / name))
        for region in annotated.regions:
            if region.width * region.height < LARGEST:
                corners = (region.x, region.y, region.x + region.width, region.y + region.height)
                box = Box.from_pixels(*corners, image.width, image.height)
                yield Record(place, (TaskTurn(Task.REFER, region.phrase, format_box(box)),))

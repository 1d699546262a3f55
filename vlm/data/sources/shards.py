"""Web datasets in tar shards, in which the files of an entry share a key and are adjacent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from ...errors import DataError
from ..records import ImageReference
from ..tar_files import tar_members
from .base import Row, require

PICTURES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Entry:
    """One entry of a shard: the location of its image, None without one, and its annotation."""

    picture: ImageReference | None
    text: bytes


@dataclass(frozen=True)
class ShardFolder:
    """Base of sources that are a folder of shards; `annotation` is the extension of the annotations."""

    annotation: ClassVar[str]
    path: Path

    def files(self) -> list[Path]:
        """Return the shards in order.

        Raises:
            DataError: there are none.
        """
        shards = sorted(require(self.path).glob("*.tar"))
        if not shards:
            raise DataError(f"{self.path} holds no .tar file: name the folder that img2dataset wrote")
        return shards

    def rows(self) -> Iterator[Row]:
        """Yield the annotated entries, without reading their images.

        Raises:
            DataError: a shard is truncated or not a tar file.
        """
        for shard in self.files():
            with shard.open("rb") as file:
                for key, members in groupby(tar_members(shard), key=lambda member: _split(member[0])[0]):
                    places = {_split(name)[1]: place for name, place in members}
                    if self.annotation in places:
                        file.seek(places[self.annotation].offset)
                        text = file.read(places[self.annotation].size)
                        image = next((places[kind] for kind in PICTURES if kind in places), None)
                        yield Row(f"{shard}, {key}", Entry(image, text))


def _split(name: str) -> tuple[str, str]:
    """Split a member's name into the key of its entry and its extension."""
    folder, _, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return f"{folder}/{key}".lstrip("./"), extension.lower()

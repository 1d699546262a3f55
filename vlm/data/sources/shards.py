"""Web datasets in tar shards, in which the files of an entry share a key and are adjacent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

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


def shard_files(folder: Path) -> list[Path]:
    """Return the shards of a folder in order.

    Raises:
        DataError: there are none.
    """
    shards = sorted(require(folder).glob("*.tar"))
    if not shards:
        raise DataError(f"{folder} holds no .tar file: name the folder that img2dataset wrote")
    return shards


def shard_rows(folder: Path, annotation: str) -> Iterator[Row]:
    """Yield the entries with an annotation of the given extension, without reading their images.

    Raises:
        DataError: a shard is truncated or not a tar file.
    """
    for shard in shard_files(folder):
        with shard.open("rb") as file:
            for key, members in groupby(tar_members(shard), key=lambda member: _split(member[0])[0]):
                places = {_split(name)[1]: place for name, place in members}
                if annotation in places:
                    file.seek(places[annotation].offset)
                    text = file.read(places[annotation].size)
                    image = next((places[kind] for kind in PICTURES if kind in places), None)
                    yield Row(f"{shard}, {key}", Entry(image, text))


def _split(name: str) -> tuple[str, str]:
    """Split a member's name into the key of its entry and its extension."""
    folder, _, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return f"{folder}/{key}".lstrip("./"), extension.lower()


__all__ = ["Entry", "shard_files", "shard_rows"]

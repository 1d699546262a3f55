"""Web data sets in tar shards: the files of one entry share a key and stand side by side."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..records import PictureReference
from .base import Row, require

PICTURES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Entry:
    """One entry of a shard: where its picture lies, None if it has none, and the annotation beside it."""

    key: str
    picture: PictureReference | None
    text: bytes


def shard_files(folder: Path) -> list[Path]:
    """Return the shards of a folder in order.

    Raises:
        DataError: there is none.
    """
    shards = sorted(require(folder).glob("*.tar"))
    if not shards:
        raise DataError(f"{folder} holds no .tar file: name the folder that img2dataset wrote")
    return shards


def shard_rows(folder: Path, annotation: str) -> Iterator[Row]:
    """Yield the entries whose annotation has the given extension; pictures are passed over, not read.

    Raises:
        DataError: a shard is no whole tar file.
    """
    for shard in shard_files(folder):
        try:
            yield from _entries(shard, annotation)
        except tarfile.TarError as error:
            raise DataError(f"{shard} is no whole tar file: {error}; fetch it again") from error


def _entries(shard: Path, annotation: str) -> Iterator[Row]:
    key, picture, text = "", None, None
    with tarfile.open(shard, "r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it remembers every member
            stem, _, extension = member.name.partition(".")
            if stem != key:
                yield from _entry(shard, key, picture, text)
                key, picture, text = stem, None, None
            if extension.lower() in PICTURES:
                picture = PictureReference(str(shard), member.offset_data, member.size)
            elif extension == annotation and (file := archive.extractfile(member)) is not None:
                text = file.read()
    yield from _entry(shard, key, picture, text)


def _entry(shard: Path, key: str, picture: PictureReference | None, text: bytes | None) -> Iterator[Row]:
    if text is not None:
        yield Row(f"{shard}, {key}", Entry(key, picture, text))


__all__ = ["Entry", "shard_files", "shard_rows"]

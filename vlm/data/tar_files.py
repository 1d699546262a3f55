"""Tar files of pictures: what lies in one, and where, without reading it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .records import ImageReference


def tar_members(path: Path) -> Iterator[tuple[str, ImageReference]]:
    """Yield the names of a tar file's members, and where they lie in it.

    Raises:
        DataError: it is no tar file, or it ends in the middle.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # or it remembers every member
                if member.isfile():
                    yield member.name, ImageReference(str(path), member.offset_data, member.size)
            # A header that is cut off is passed over in silence.
            if archive.offset < path.stat().st_size < archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
    except tarfile.TarError as error:
        raise DataError(f"{path} is no whole tar file: {error}; copy or fetch it again") from error


__all__ = ["tar_members"]

"""List the members of tar files and their offsets, without reading them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .records import ImageReference


def tar_members(path: Path) -> Iterator[tuple[str, ImageReference]]:
    """Yield the name and location of each file in a tar file.

    Raises:
        DataError: it is not a tar file, or truncated.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # keep no list of all members
                if member.isfile():
                    yield member.name, ImageReference(str(path), member.offset_data, member.size)
            # tarfile ignores a truncated header.
            if archive.offset < path.stat().st_size < archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
    except tarfile.TarError as error:
        raise DataError(f"{path} is no whole tar file: {error}; copy or fetch it again") from error

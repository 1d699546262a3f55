"""Write files and folders whole or not at all: a full disk or a killed process leaves the old one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` at the end of the block.

    It becomes a file or a folder. The parent must exist, and has a folder `partial-...` meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="partial-") as folder:
        scratch = Path(folder) / path.name
        yield scratch
        if scratch.is_dir() and path.is_dir():  # `replace` takes the place of empty folders alone
            path.rename(scratch.with_name(f"earlier-{path.name}"))
        scratch.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; follow a link, and write to a device directly.

    Raises:
        OSError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():  # a device, or a folder
        place.write_bytes(content)
    else:
        with replacing(place) as scratch:
            scratch.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_bytes` does.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes(path, text.encode())

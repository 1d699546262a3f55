"""Write files and folders whole or not at all: a full disk or a killed process leaves the earlier one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` at the end of the block.

    That is a file, or a folder. The parent must exist, and holds a folder `partial-...` meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="partial-") as folder:
        scratch = Path(folder) / path.name
        yield scratch
        if scratch.is_dir() and path.is_dir():  # `replace` takes the place of empty folders alone
            path.rename(scratch.with_name(f"earlier-{path.name}"))
        scratch.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")

"""Session images for the tools, which refer to them by id instead of by path."""

from __future__ import annotations

import re
from pathlib import Path

from ..storage import SessionStore
from ..vlm.errors import ImageError

_ID = re.compile(r"[0-9a-f]{64}")


class SessionImages:
    """An `ImageSource` over a store: give it to `VisionToolkit(sources=…)`.

    An image's id is the hash of its content, which cannot be guessed and is not a path.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def find(self, reference: str) -> Path | None:
        """Return the file of the image with that id, or None."""
        if not _ID.fullmatch(reference):
            return None
        try:
            return self._store.image_path(reference)
        except ImageError:
            return None

"""The pictures of the sessions, for tools: a model may name one by its id, wherever the store keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from ..storage import SessionStore
from ..vlm.errors import ImageError

_ID = re.compile(r"[0-9a-f]{64}")


class SessionImages:
    """An `ImageSource` over a store: give it to `VisionToolkit(sources=…)`.

    A picture's id is the hash that the store knows it by, which cannot be guessed and is no path.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def find(self, reference: str) -> Path | None:
        """Return the file of the picture of that id, or None where there is no such picture."""
        if not _ID.fullmatch(reference):
            return None
        try:
            return self._store.image_path(reference)
        except ImageError:
            return None


__all__ = ["SessionImages"]

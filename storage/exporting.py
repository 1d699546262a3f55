"""The exports of a session, as methods of the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from . import coco, detector_formats, markdown
from .images import ImageFolder
from .records import SessionSummary, StoredTurn


class Exporting(ABC):
    """Exports sessions; a store says how to read them."""

    _folder: ImageFolder

    @abstractmethod
    def _session_with_turns(self, session_id: str) -> tuple[SessionSummary, list[StoredTurn]]:
        """Return a session and all its turns, read at one moment."""

    def export_json(self, session_id: str) -> str:
        """Return a session, images included, as JSON that `import_json` reads.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing.
        """
        from . import exchange  # pydantic is not needed for anything else here

        return exchange.write(*self._session_with_turns(session_id), self._folder)

    def export_markdown(self, session_id: str, folder: Path) -> Path:
        """Write a session's images and `conversation.md` to `folder`; return the path of the document.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing.
            StorageError: the folder cannot be written.
        """
        return markdown.write(*self._session_with_turns(session_id), self._folder, folder)

    def export_coco(self, session_id: str) -> str:
        """Return a session's boxes as JSON in the COCO format: `bbox` is x, y, width, height in pixels.

        Pixels are those of the upright image; `file_name` is the name of its file in the store.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        return coco.write(*self._session_with_turns(session_id), self._folder)

    def export_yolo(self, session_id: str) -> bytes:
        """Return a session's boxes and images as an archive in the YOLO format.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing.
        """
        return detector_formats.yolo(self._session_with_turns(session_id)[1], self._folder)

    def export_pascal_voc(self, session_id: str) -> bytes:
        """Return a session's boxes and images as an archive in the Pascal VOC format.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing.
        """
        return detector_formats.pascal_voc(self._session_with_turns(session_id)[1], self._folder)


__all__ = ["Exporting"]

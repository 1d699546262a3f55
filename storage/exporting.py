"""The export formats of a session; a new one is a function and a line in `FORMATS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import coco, detector_formats, exchange, markdown
from .errors import StorageError
from .images import ImageFolder
from .records import SessionSummary, StoredTurn

Write = Callable[[SessionSummary, Sequence[StoredTurn], ImageFolder], str | bytes]
"""Converts a session, its turns and the image files to the content of the exported file."""


@dataclass(frozen=True)
class ExportFormat:
    """A format: its title in menus and its file extension; `.zip` files unpack to a folder.

    >>> [name for name, form in FORMATS.items() if form.is_archive]
    ['markdown', 'yolo', 'voc']
    """

    title: str
    ending: str
    write: Write

    @property
    def is_archive(self) -> bool:
        """Whether the file is an archive of several files."""
        return self.ending.endswith("zip")


FORMATS = {
    "json": ExportFormat("JSON with images", "json", exchange.write),
    "markdown": ExportFormat("Markdown with images", "zip", markdown.write),
    "coco": ExportFormat("Boxes as COCO", "coco.json", coco.write),
    "yolo": ExportFormat("Boxes as YOLO", "yolo.zip", detector_formats.yolo),
    "voc": ExportFormat("Boxes as Pascal VOC", "voc.zip", detector_formats.pascal_voc),
}


class Exporting(ABC):
    """Exports sessions; a store implements how to read them."""

    _folder: ImageFolder

    @abstractmethod
    def _session_with_turns(self, session_id: str) -> tuple[SessionSummary, list[StoredTurn]]:
        """Return a session and all its turns, read in one transaction."""

    def export(self, session_id: str, name: str) -> bytes:
        """Export a session in a format of `FORMATS`; `import_json` reads `json`.

        Raises:
            StorageError: there is no such format.
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing or was changed.
        """
        if name not in FORMATS:
            raise StorageError(f"no format {name!r}: name one of {', '.join(FORMATS)}")
        content = FORMATS[name].write(*self._session_with_turns(session_id), self._folder)
        return content.encode() if isinstance(content, str) else content

    def export_json(self, session_id: str) -> str:
        """Return a session, images included, as JSON that `import_json` reads.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: an image file is missing.
        """
        return self.export(session_id, "json").decode()

"""Count and log the broken rows that a reader skips."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from ..errors import DataError

logger = logging.getLogger(__name__)

# Skipped rows to log one by one; the rest are only counted.
LOGGED_ROWS = 5


class RowImageError(DataError):
    """The image file of a row, at `path`, is missing or unreadable."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class SkippedRows:
    """The skipped rows of a file: logs the first few and counts the rest.

    `pictures` holds the image files because of which rows were skipped.
    """

    def __init__(self, path: Path, count: int = 0) -> None:
        self.path = path
        self.count = count
        self.pictures: set[Path] = set()

    def add(self, error: DataError) -> None:
        """Count a row, and log it if it is among the first."""
        self.count += 1
        if isinstance(error, RowImageError):
            self.pictures.add(error.path)
        if self.count <= LOGGED_ROWS:
            logger.warning("skipped: %s", error)

    def log_total(self) -> None:
        """Log how many rows were skipped, if any."""
        if self.count:
            logger.warning("broken rows skipped in %s: %d", self.path, self.count)


def first_error(error: ValidationError) -> str:
    """Return the first error as `field: message`."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message

"""Broken rows: what is wrong with one in a line, and a count of those that were left out."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from ..errors import DataError

logger = logging.getLogger(__name__)

# Of the rows that are left out, so many are told of one by one.
LOGGED_ROWS = 5


class RowImageError(DataError):
    """A row's picture, at `path`, is not there, or is none."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class SkippedRows:
    """The rows of a file that were left out: the first few are told of, the rest counted.

    `pictures` are those that rows were left out for.
    """

    def __init__(self, path: Path, count: int = 0) -> None:
        self.path = path
        self.count = count
        self.pictures: set[Path] = set()

    def add(self, error: DataError) -> None:
        """Count a row."""
        self.count += 1
        if isinstance(error, RowImageError):
            self.pictures.add(error.path)
        if self.count <= LOGGED_ROWS:
            logger.warning("skipped: %s", error)

    def log_total(self) -> None:
        """Say how many there were, if any."""
        if self.count:
            logger.warning("broken rows skipped in %s: %d", self.path, self.count)


def first_error(error: ValidationError) -> str:
    """Return the first thing that is wrong, as `field: what`."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{field}: {said}" if field else said


__all__ = ["RowImageError", "SkippedRows", "first_error"]

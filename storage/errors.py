"""What can go wrong while conversations are kept, said in one line with the remedy."""

from __future__ import annotations

from ..vlm.errors import AssistantError


class StorageError(AssistantError):
    """Base of every error of the store."""


class SessionNotFoundError(StorageError):
    """There is no such session, or no such turn in it."""


class AmbiguousSessionError(StorageError):
    """Several sessions' ids begin as was said."""


class DatabaseMissingError(StorageError):
    """There is no database, and none was to be made."""


class DatabaseBusyError(StorageError):
    """Another program kept the database or the pictures locked for longer than the store waits."""


class DatabaseDamagedError(StorageError):
    """The file is no database of ours, or its content is damaged."""


class DatabaseNotWritableError(StorageError):
    """The database or its folder may not be written."""


class DiskFullError(StorageError):
    """There is no room left to write; what was to be written is not there, not even in part."""


class NewerDatabaseError(StorageError):
    """The database was written by a newer version of this program."""


class ExchangeError(StorageError):
    """A file to import is not in the form that an export has; the message names the field."""


__all__ = [
    "AmbiguousSessionError",
    "DatabaseBusyError",
    "DatabaseDamagedError",
    "DatabaseMissingError",
    "DatabaseNotWritableError",
    "DiskFullError",
    "ExchangeError",
    "NewerDatabaseError",
    "SessionNotFoundError",
    "StorageError",
]

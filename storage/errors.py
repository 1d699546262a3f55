"""Errors of the store; each message is one line with the remedy."""

from __future__ import annotations

from ..vlm.errors import AssistantError


class StorageError(AssistantError):
    """Base class of the store's errors."""


class SessionNotFoundError(StorageError):
    """There is no such session, or no such turn in it."""


class AmbiguousSessionError(StorageError):
    """Several session ids start with the given text."""


class DatabaseMissingError(StorageError):
    """The database does not exist, and the caller does not allow creating it."""


class DatabaseBusyError(StorageError):
    """Another program held the lock on the database or the images for longer than the timeout."""


class DatabaseDamagedError(StorageError):
    """The file is damaged, or not a database of this program."""


class DatabaseNotWritableError(StorageError):
    """The database or its folder is not writable."""


class DiskFullError(StorageError):
    """The disk is full; nothing was written, not even partly."""


class NewerDatabaseError(StorageError):
    """A newer version of this program wrote the database."""


class ExchangeError(StorageError):
    """A file to import is not a valid export; the message names the field."""

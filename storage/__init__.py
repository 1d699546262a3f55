"""Saved conversations: sessions, turns, steps, boxes and images, behind one `SessionStore`."""

from .errors import (
    AmbiguousSessionError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseMissingError,
    DatabaseNotWritableError,
    DiskFullError,
    ExchangeError,
    NewerDatabaseError,
    SessionNotFoundError,
    StorageError,
)
from .forms import CheckedBox, Verification
from .records import (
    Feedback,
    LabelledBox,
    NewTurn,
    Problem,
    SearchHit,
    SessionSummary,
    StoredImage,
    StoredStep,
    StoredTurn,
    Usage,
)
from .store import SessionStore

__all__ = [
    "AmbiguousSessionError",
    "CheckedBox",
    "DatabaseBusyError",
    "DatabaseDamagedError",
    "DatabaseMissingError",
    "DatabaseNotWritableError",
    "DiskFullError",
    "ExchangeError",
    "Feedback",
    "LabelledBox",
    "NewTurn",
    "NewerDatabaseError",
    "Problem",
    "SearchHit",
    "SessionNotFoundError",
    "SessionStore",
    "SessionSummary",
    "StorageError",
    "StoredImage",
    "StoredStep",
    "StoredTurn",
    "Usage",
    "Verification",
]

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

__all__ = ["AmbiguousSessionError", "CheckedBox", "DatabaseBusyError", "DatabaseDamagedError"]
__all__ += ["DatabaseMissingError", "DatabaseNotWritableError", "DiskFullError", "ExchangeError"]
__all__ += ["Feedback", "LabelledBox", "NewTurn", "NewerDatabaseError", "Problem", "SearchHit"]
__all__ += ["SessionNotFoundError", "SessionStore", "SessionSummary", "StorageError", "StoredImage"]
__all__ += ["StoredStep", "StoredTurn", "Usage", "Verification"]

"""Read-only links to sessions, as methods of the store."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from .errors import SessionNotFoundError
from .records import SessionSummary
from .schema import sessions


class Linking(ABC):
    """Manages the links of sessions; a store implements how to read and change a session."""

    _engine: Engine

    @abstractmethod
    def _read(self, connection: Connection, session_id: str) -> SessionSummary:
        """Return a session that this store may access."""

    @abstractmethod
    def _change(self, session_id: str, **values: object) -> SessionSummary:
        """Change columns of a session that this store may access."""

    def set_link(self, session_id: str, wanted: bool) -> str | None:
        """Create or remove a session's read-only link; return its secret part, None if removed.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        if not wanted:
            self._change(session_id, link=None)
        elif self.link(session_id) is None:
            self._change(session_id, link=secrets.token_urlsafe(24))
        return self.link(session_id)

    def link(self, session_id: str) -> str | None:
        """Return the secret part of a session's read-only link, None if it has none.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._engine.begin() as connection:
            self._read(connection, session_id)
            link: str | None = connection.scalar(select(sessions.c.link).where(sessions.c.id == session_id))
        return link

    def linked_session(self, link: str) -> SessionSummary:
        """Return the session of a link.

        Raises:
            SessionNotFoundError: there is no such link (any more).
        """
        with self._engine.begin() as connection:
            session_id = connection.scalar(select(sessions.c.id).where(sessions.c.link == link))
            if session_id is None:
                raise SessionNotFoundError("this link is no longer valid; ask for a new one")
            return self._read(connection, session_id)

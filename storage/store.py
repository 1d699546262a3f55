"""The store's public interface; nothing else accesses the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, delete, exists, func, insert, or_, select, true, update
from sqlalchemy.engine import Connection

from ..vlm.errors import ImageError
from ..vlm.pictures import Picture
from . import check, database, exchange, rows, search
from .errors import SessionNotFoundError, StorageError
from .exporting import Exporting
from .images import ImageFolder, read
from .links import Linking
from .records import (
    Feedback,
    LabelledBox,
    NewTurn,
    Problem,
    SearchHit,
    SessionSummary,
    StoredImage,
    StoredTurn,
    Usage,
)
from .schema import REVISION, images, sessions, turns

logger = logging.getLogger(__name__)

# How long to keep an image without a turn: longer than any answer takes.
PATIENCE = timedelta(hours=1)


class SessionStore(Exporting, Linking):
    """Conversations in a database and their images in a folder; safe across threads and programs.

    Every write is one transaction. Each method also raises `StorageError` if the database or the folder
    cannot be read or written. Create a store with `open`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, SessionStore.open(f"{folder}/sessions.db") as store:
    ...     session = store.create_session("A walk")
    ...     turn = store.append_turn(session.id, NewTurn("where is the dog?", "On the left."))
    ...     store.search("dog")[0].session_title, turn.number
    ('A walk', 1)
    """

    def __init__(self, engine: Engine, folder: ImageFolder) -> None:
        self._engine = engine
        self._writer = database.writing(engine)
        self._folder = folder
        # Threads queue here in order; otherwise they would poll for SQLite's write lock.
        self._writing = threading.RLock()
        # The owner of new sessions, the condition for accessible sessions, and the images that the owner
        # added (None: all images are accessible).
        self._owner: str | None = None
        self._allowed: ColumnElement[bool] = true()
        self._added: set[str] | None = None

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        image_folder: Path | None = None,
        timeout: float = 10.0,
        make: bool = True,
    ) -> SessionStore:
        """Open the store at a database's path or URL; migrate an old database.

        Creates a missing database or missing tables, unless `make` is False.

        `image_folder` defaults to the path of the SQLite file plus `.images`; `timeout` is how many seconds a
        write waits for another program.

        Raises:
            DatabaseMissingError: there is no database, and `make` is False.
            StorageError: see its other subclasses; also if a server's URL comes without an `image_folder`.
        """
        url = database.parse_location(location)
        folder = ImageFolder(image_folder or database.default_image_folder(url), timeout)
        engine = database.create(url, timeout, make=make)
        try:
            with engine.connect() as connection:
                current = database.revision(connection)
            if current is None and not make:
                raise database.missing(url)
            if current != REVISION:
                with folder.lock():
                    database.migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, folder)

    def for_owner(self, owner: str | None) -> SessionStore:
        """Return the same store limited to one owner's sessions; None is the local user.

        Hides all other sessions and, unless `owner` is None, their images. Closing either store closes both.
        """
        limited = copy(self)
        limited._owner = owner
        limited._allowed = sessions.c.owner == owner
        limited._added = None if owner is None else set()
        return limited

    def close(self) -> None:
        """Close the connections; do not use the store afterwards."""
        self._engine.dispose()

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- sessions ------------------------------------------------------------------------------------------

    def create_session(self, title: str = "") -> SessionSummary:
        """Create a session."""
        with self._write() as connection:
            now = datetime.now(UTC)
            values = {"title": title, "created": now, "updated": now, "owner": self._owner}
            return self._read(connection, rows.insert_session(connection, **values))

    def list_sessions(self, limit: int | None = None) -> list[SessionSummary]:
        """Return the sessions, or the first `limit`: pinned ones first, then by newest turn."""
        with self._engine.begin() as connection:
            return rows.read_sessions(connection, limit, self._allowed)

    def get_session(self, session_id: str) -> SessionSummary:
        """Return one session.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._engine.begin() as connection:
            return self._read(connection, session_id)

    def find_session(self, beginning: str) -> SessionSummary:
        """Return the session whose id is `beginning`, or the only one whose id starts with it.

        Raises:
            SessionNotFoundError: there is no such session.
            AmbiguousSessionError: there are several.
        """
        with self._engine.begin() as connection:
            return rows.find_session(connection, beginning, self._allowed)

    def rename_session(self, session_id: str, title: str) -> SessionSummary:
        """Change the title of a session.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        return self._change(session_id, title=title)

    def pin_session(self, session_id: str, pinned: bool) -> SessionSummary:
        """Pin a session to the top of the list, or unpin it.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        return self._change(session_id, pinned=pinned)

    def delete_session(self, session_id: str) -> None:
        """Delete a session, its turns, and the images that no other session uses.

        The session is deleted even if the image folder is not writable; a later `sweep` deletes the images.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._write() as connection:
            self._read(connection, session_id)
            connection.execute(delete(sessions).where(sessions.c.id == session_id))
        self.sweep()

    def first_turns(self, session_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return the first message and its image's hash, by session, for sessions with turns."""
        chosen = turns.c.session_id.in_(session_ids) & (turns.c.number == 1)
        query = select(turns.c.session_id, turns.c.user, turns.c.image).join(sessions)
        query = query.where(chosen, self._allowed)
        with self._engine.begin() as connection:
            return {row.session_id: (row.user, row.image) for row in connection.execute(query)}

    def import_json(self, content: str | bytes) -> SessionSummary:
        """Import an exported session under a new id; keep everything else, times included.

        Raises:
            ExchangeError: the content is not an export of a known version; the message names the field.
        """
        session, pictures, session_turns = exchange.read(content)
        for data in pictures:
            self.add_image(data)
        with self._write() as connection:
            values = {name: getattr(session, name) for name in ("title", "created", "updated", "pinned")}
            session_id = rows.insert_session(connection, owner=self._owner, **values)
            for turn in session_turns:
                own = {name: getattr(turn, name) for name in ("created", "feedback", "corrections")}
                rows.insert_turn(connection, session_id, turn.number, turn, **own)
            return self._read(connection, session_id)

    # --- images --------------------------------------------------------------------------------------------

    def add_image(self, source: bytes | Path | Picture) -> StoredImage:
        """Save an image unless it is already stored; an image that no turn uses is kept for an hour.

        Raises:
            ImageError: the image cannot be read or is too large.
        """
        data, image = read(source)
        with self._writing, self._folder.lock(), self._write() as connection:
            awaited = datetime.now(UTC)
            known = update(images).where(images.c.sha256 == image.sha256).values(awaited=awaited)
            if connection.execute(known).rowcount == 0:
                connection.execute(insert(images).values(**vars(image), awaited=awaited))
            self._folder.write(image, data)
        if self._added is not None:
            self._added.add(image.sha256)
        return image

    def image_path(self, sha256: str) -> Path:
        """Return the path of an image's file; do not change the file.

        Raises:
            ImageError: there is no such image, or its file is missing.
        """
        with self._engine.begin() as connection:
            known = self._added is None or sha256 in self._added or sha256 in self._images(connection)
            image = rows.read_image(connection, sha256) if known else None
        path = self._folder.file(image) if image else None
        if path is None or not path.is_file():
            raise ImageError(f"the image {sha256} is not in the store; add it again")
        return path

    def usage(self) -> Usage:
        """Return the number and size of the images that the sessions use or this owner just added."""
        with self._engine.begin() as connection:
            mine = images.c.sha256.in_(self._images(connection) | (self._added or set()))
            query = select(func.count(), func.coalesce(func.sum(images.c.size), 0)).where(mine)
            count, size = connection.execute(query).one()
        return Usage(count, size)

    def secret(self) -> str:
        """Return a random secret, created once and kept with the images, for signing visitors' cookies."""
        return self._folder.secret()

    def sweep(self) -> int:
        """Delete unused images and leftovers of interrupted writes; return the number of files."""
        unused = ~exists().where(turns.c.image == images.c.sha256)
        forgotten = or_(images.c.awaited.is_(None), images.c.awaited < datetime.now(UTC) - PATIENCE)
        with self._write() as connection:
            connection.execute(delete(images).where(unused, forgotten))
        # Rows first: a file without a row is harmless. `add_image` holds the lock until it has written the
        # row, so a file without a row is a leftover.
        with self._writing, self._folder.lock(), self._engine.begin() as connection:
            return self._folder.clear(rows.read_images(connection))

    # --- turns ---------------------------------------------------------------------------------------------

    def append_turn(self, session_id: str, turn: NewTurn) -> StoredTurn:
        """Append a turn with its steps and boxes to a session; return the stored turn.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: the turn's image is not in the store (any more).
        """
        with self._write() as connection:
            number = self._last_turn(connection, session_id) + 1
            return self._insert_turn(connection, session_id, number, turn)

    def replace_turn(self, session_id: str, number: int, turn: NewTurn) -> StoredTurn:
        """Replace the session's last turn, `number`, and drop its feedback.

        Earlier turns cannot be replaced, because later turns depend on them. If the image folder is not
        writable, the old turn's image remains until a later `sweep`.

        Raises:
            SessionNotFoundError: there is no such turn.
            StorageError: the turn is not the session's last (any more).
            ImageError: the new turn's image is not in the store (any more).
        """
        with self._write() as connection:
            last = self._last_turn(connection, session_id)
            if not 1 <= number <= last:
                raise SessionNotFoundError(f"there is no turn {number} in a session {session_id!r}")
            if number != last:
                raise StorageError(f"turn {number} is not the last of {last}; only the last can be replaced")
            chosen = (turns.c.session_id == session_id) & (turns.c.number == number)
            replaced = connection.scalar(select(turns.c.image).where(chosen))
            connection.execute(delete(turns).where(chosen))
            stored = self._insert_turn(connection, session_id, number, turn)
        if replaced not in (None, stored.image and stored.image.sha256):
            try:
                self.sweep()
            except StorageError:  # the turn is saved, so this is not an error
                logger.warning("the image of a replaced turn is not deleted yet", exc_info=True)
        return stored

    def turns(self, session_id: str, last: int | None = None) -> list[StoredTurn]:
        """Return a session's turns, or the last `last` of them, in order.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._engine.begin() as connection:
            count = self._read(connection, session_id).turns
            return rows.read_turns(connection, session_id, 1 if last is None else count - last + 1)

    def set_feedback(self, session_id: str, number: int, feedback: Feedback | None) -> None:
        """Save a person's rating of an answer: -1 bad, 0 neutral, 1 good, None for no rating.

        Raises:
            SessionNotFoundError: there is no such turn.
            ValueError: `feedback` is none of these.
        """
        if feedback not in (None, -1, 0, 1):
            raise ValueError(f"feedback is -1, 0, 1 or None, not {feedback!r}")
        self._change_turn(session_id, number, feedback=feedback)

    def set_corrections(self, session_id: str, number: int, boxes: Sequence[LabelledBox] | None) -> None:
        """Save a person's corrected boxes of a turn, in addition to the model's; None removes them.

        Raises:
            SessionNotFoundError: there is no such turn.
        """
        self._change_turn(session_id, number, corrections=boxes)

    def search(self, words: str, limit: int = 20) -> list[SearchHit]:
        """Return the newest turns whose question and answer together contain every word, or its prefix.

        Case is ignored, as are accents on SQLite; there is no query syntax. Databases other than SQLite and
        PostgreSQL also match within words.
        """
        with self._engine.begin() as connection:
            return search.find(connection, words, limit, self._allowed)

    def verify(self) -> list[Problem]:
        """Return all problems: damage, orphaned rows, and missing, changed or unused images.

        This reads every image file. A write in progress in another program may show as a problem.
        """
        with self._engine.begin() as connection:
            return list(check.problems(connection, self._folder))

    # --- internal ------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._writing, self._writer.begin() as connection:
            yield connection

    def _read(self, connection: Connection, session_id: str) -> SessionSummary:
        return rows.read_session(connection, session_id, self._allowed)

    def _last_turn(self, connection: Connection, session_id: str) -> int:
        """Return the number of the last turn; lock the session, as only SQLite has a single writer."""
        connection.execute(select(sessions.c.id).where(sessions.c.id == session_id).with_for_update())
        return self._read(connection, session_id).turns

    def _insert_turn(self, connection: Connection, session_id: str, number: int, turn: NewTurn) -> StoredTurn:
        now = datetime.now(UTC)
        rows.insert_turn(connection, session_id, number, turn, created=now)
        connection.execute(update(sessions).where(sessions.c.id == session_id).values(updated=now))
        return rows.read_turns(connection, session_id, number)[0]

    def _change(self, session_id: str, **values: object) -> SessionSummary:
        with self._write() as connection:
            self._read(connection, session_id)
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(values))
            return self._read(connection, session_id)

    def _change_turn(self, session_id: str, number: int, **values: object) -> None:
        chosen = (turns.c.session_id == session_id) & (turns.c.number == number)
        with self._write() as connection:
            self._read(connection, session_id)
            if connection.execute(update(turns).where(chosen).values(values)).rowcount == 0:
                raise SessionNotFoundError(f"there is no turn {number} in a session {session_id!r}")

    def _images(self, connection: Connection) -> set[str]:
        """Return the hashes of the images in the sessions."""
        query = select(turns.c.image).join(sessions).where(self._allowed, turns.c.image.is_not(None))
        return set(connection.scalars(query.distinct()))

    def _session_with_turns(self, session_id: str) -> tuple[SessionSummary, list[StoredTurn]]:
        with self._engine.begin() as connection:
            return self._read(connection, session_id), rows.read_turns(connection, session_id)

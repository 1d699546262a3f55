"""The one entry to everything that is kept, and the only user of the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from sqlalchemy import URL, Engine, delete, exists, insert, or_, select, update
from sqlalchemy.engine import Connection

from ..vlm.errors import ImageError
from ..vlm.pictures import Picture
from . import check, coco, database, detector_formats, markdown, rows, search
from .errors import SessionNotFoundError, StorageError
from .images import ImageFolder, read
from .records import (
    Feedback,
    LabelledBox,
    NewTurn,
    Problem,
    SearchHit,
    SessionSummary,
    StoredImage,
    StoredTurn,
)
from .schema import REVISION, images, sessions, turns

logger = logging.getLogger(__name__)

# How long a picture is kept for a turn that does not come: longer than any answer takes.
PATIENCE = timedelta(hours=1)


class SessionStore:
    """Conversations in a database and their pictures in a folder, for any number of threads and programs.

    What belongs together is written wholly or not at all. Besides what it names, each method raises
    `StorageError` where the database or the folder cannot be read or written. Begin with `open`.
    """

    def __init__(self, engine: Engine, folder: ImageFolder) -> None:
        self._engine = engine
        self._writer = database.writing(engine)
        self._folder = folder
        # Threads queue here, in order; left to SQLite they would poll for its one write lock.
        self._writing = threading.RLock()

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        image_folder: Path | None = None,
        timeout: float = 10.0,
        make: bool = True,
    ) -> SessionStore:
        """Open the store at a database's path or URL; bring it up to date if it is old.

        A database that is not there, or has no tables, is made, unless `make` is False.

        `image_folder` is by default beside a SQLite file, named as it with `.images` behind; `timeout` is
        how many seconds a write waits for another program's.

        Raises:
            DatabaseMissingError: the database is not there, and `make` is False.
            StorageError: see its other subclasses; also where a server's URL comes without an `image_folder`.
        """
        url = database.parse_location(location)
        folder = ImageFolder(image_folder or _folder_beside(url), timeout)
        engine = database.create(url, timeout, make=make)
        try:
            with engine.connect() as connection:
                standing = database.revision(connection)
            if standing is None and not make:
                raise database.missing(url)
            if standing != REVISION:
                with folder.lock():
                    database.migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, folder)

    def close(self) -> None:
        """Close the connections; the store is not to be used afterwards."""
        self._engine.dispose()

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- sessions ------------------------------------------------------------------------------------------

    def create_session(self, title: str = "") -> SessionSummary:
        """Begin a conversation."""
        with self._write() as connection:
            now = datetime.now(UTC)
            return rows.read_session(connection, rows.insert_session(connection, title, now, now))

    def list_sessions(self, limit: int | None = None) -> list[SessionSummary]:
        """Return the sessions, or the first `limit`: those pinned, then the one with the newest turn."""
        with self._engine.begin() as connection:
            return rows.read_sessions(connection, limit)

    def get_session(self, session_id: str) -> SessionSummary:
        """Return one session.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._engine.begin() as connection:
            return rows.read_session(connection, session_id)

    def find_session(self, beginning: str) -> SessionSummary:
        """Return the session whose id is `beginning`, or the only one whose id begins so.

        Raises:
            SessionNotFoundError: there is no such session.
            AmbiguousSessionError: there are several.
        """
        with self._engine.begin() as connection:
            return rows.find_session(connection, beginning)

    def rename_session(self, session_id: str, title: str) -> SessionSummary:
        """Give a session another title.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._write() as connection:
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(title=title))
            return rows.read_session(connection, session_id)

    def pin_session(self, session_id: str, pinned: bool) -> SessionSummary:
        """Keep a session at the top of the list, or no longer.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._write() as connection:
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(pinned=pinned))
            return rows.read_session(connection, session_id)

    def delete_session(self, session_id: str) -> None:
        """Delete a session, its turns, and the pictures that no other session uses.

        Where the pictures' folder cannot be written the session is gone all the same; `sweep` does the rest.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._write() as connection:
            rows.read_session(connection, session_id)
            connection.execute(delete(sessions).where(sessions.c.id == session_id))
        self.sweep()

    def first_turns(self, session_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return the first question of each session that has one, and the hash of its picture."""
        chosen = turns.c.session_id.in_(session_ids) & (turns.c.number == 1)
        query = select(turns.c.session_id, turns.c.user, turns.c.image).where(chosen)
        with self._engine.begin() as connection:
            return {row.session_id: (row.user, row.image) for row in connection.execute(query)}

    # --- pictures ------------------------------------------------------------------------------------------

    def add_image(self, source: bytes | Path | Picture) -> StoredImage:
        """Keep a picture, once however often it is added; without a turn that uses it, for an hour.

        Raises:
            ImageError: it is no readable picture, or too large a one.
        """
        data, image = read(source)
        with self._writing, self._folder.lock(), self._write() as connection:
            awaited = datetime.now(UTC)
            known = update(images).where(images.c.sha256 == image.sha256).values(awaited=awaited)
            if connection.execute(known).rowcount == 0:
                connection.execute(insert(images).values(**vars(image), awaited=awaited))
            self._folder.write(image, data)
        return image

    def image_path(self, sha256: str) -> Path:
        """Return the file of a picture; not to be changed.

        Raises:
            ImageError: there is no such picture, or its file is gone.
        """
        with self._engine.begin() as connection:
            image = rows.read_image(connection, sha256)
        path = self._folder.file(image) if image else None
        if path is None or not path.is_file():
            raise ImageError(f"the picture {sha256} is not in the store; add it again")
        return path

    def sweep(self) -> int:
        """Delete the pictures that nothing uses and what interrupted writes left; return how many files."""
        unused = ~exists().where(turns.c.image == images.c.sha256)
        forgotten = or_(images.c.awaited.is_(None), images.c.awaited < datetime.now(UTC) - PATIENCE)
        with self._write() as connection:
            connection.execute(delete(images).where(unused, forgotten))
        # The rows first: a file without a row does no harm. Whoever adds a picture holds the lock until its
        # row is there, so that a file without one now belongs to nobody.
        with self._writing, self._folder.lock(), self._engine.begin() as connection:
            return self._folder.clear(rows.read_images(connection))

    # --- turns ---------------------------------------------------------------------------------------------

    def append_turn(self, session_id: str, turn: NewTurn) -> StoredTurn:
        """Keep a turn with its steps and boxes as the session's next, and return it as it is kept.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: the turn's picture is not in the store (any more).
        """
        with self._write() as connection:
            now = datetime.now(UTC)
            # The row's lock is for databases where other writers go on meanwhile; SQLite has only one.
            connection.execute(select(sessions.c.id).where(sessions.c.id == session_id).with_for_update())
            number = rows.read_session(connection, session_id).turns + 1
            rows.insert_turn(connection, session_id, number, turn, created=now)
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(updated=now))
            return rows.read_turns(connection, session_id, number)[0]

    def replace_turn(self, session_id: str, number: int, turn: NewTurn) -> StoredTurn:
        """Keep a turn in the place of the session's last, which is `number`; what was thought of that goes.

        A turn in the middle stays: what followed it was said in its light. Where the pictures' folder cannot
        be written the old turn's picture stays for now; `sweep` does the rest.

        Raises:
            SessionNotFoundError: there is no such turn.
            StorageError: the turn is not the session's last (any more).
            ImageError: the new turn's picture is not in the store (any more).
        """
        with self._write() as connection:
            now = datetime.now(UTC)
            connection.execute(select(sessions.c.id).where(sessions.c.id == session_id).with_for_update())
            last = rows.read_session(connection, session_id).turns
            if not 1 <= number <= last:
                raise SessionNotFoundError(f"there is no turn {number} in a session {session_id!r}")
            if number != last:
                raise StorageError(f"turn {number} is not the last of {last}; only the last can be replaced")
            chosen = (turns.c.session_id == session_id) & (turns.c.number == number)
            replaced = connection.scalar(select(turns.c.image).where(chosen))
            connection.execute(delete(turns).where(chosen))
            rows.insert_turn(connection, session_id, number, turn, created=now)
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(updated=now))
            stored = rows.read_turns(connection, session_id, number)[0]
        if replaced not in (None, stored.image and stored.image.sha256):
            try:
                self.sweep()
            except StorageError:  # the turn is kept: to raise would deny it
                logger.warning("the picture of a turn that was replaced is not swept yet", exc_info=True)
        return stored

    def turns(self, session_id: str, last: int | None = None) -> list[StoredTurn]:
        """Return a session's turns, or the last `last` of them, in order.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        with self._engine.begin() as connection:
            count = rows.read_session(connection, session_id).turns
            return rows.read_turns(connection, session_id, 1 if last is None else count - last + 1)

    def set_feedback(self, session_id: str, number: int, feedback: Feedback | None) -> None:
        """Keep what the person thinks of an answer: -1 bad, 0 neither, 1 good, None nothing.

        Raises:
            SessionNotFoundError: there is no such turn.
            ValueError: `feedback` is something else.
        """
        if feedback not in (None, -1, 0, 1):
            raise ValueError(f"feedback is -1, 0, 1 or None, not {feedback!r}")
        chosen = (turns.c.session_id == session_id) & (turns.c.number == number)
        with self._write() as connection:
            if connection.execute(update(turns).where(chosen).values(feedback=feedback)).rowcount == 0:
                raise SessionNotFoundError(f"there is no turn {number} in a session {session_id!r}")

    def set_corrections(self, session_id: str, number: int, boxes: Sequence[LabelledBox] | None) -> None:
        """Keep all boxes of a turn as a person left them, beside the model's own; None takes them back.

        Raises:
            SessionNotFoundError: there is no such turn.
        """
        chosen = (turns.c.session_id == session_id) & (turns.c.number == number)
        values = {"corrections": rows.corrections_json(boxes)}
        with self._write() as connection:
            if connection.execute(update(turns).where(chosen).values(values)).rowcount == 0:
                raise SessionNotFoundError(f"there is no turn {number} in a session {session_id!r}")

    def search(self, words: str, limit: int = 20) -> list[SearchHit]:
        """Return the newest turns whose question and answer together hold every word, or its beginning.

        Case does not matter, nor do accents on SQLite; no character of `words` means anything but itself.
        Databases other than SQLite find words in the middle of words too.
        """
        with self._engine.begin() as connection:
            return search.find(connection, words, limit)

    # --- in and out ----------------------------------------------------------------------------------------

    def export_json(self, session_id: str) -> str:
        """Return a session, pictures included, as JSON that `import_json` reads.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: a picture's file is gone.
        """
        from . import exchange  # pydantic is not needed for anything else here

        return exchange.write(*self._whole(session_id), self._folder)

    def import_json(self, content: str | bytes) -> SessionSummary:
        """Keep an exported session as a new one; all is as it was, times included, except the session's id.

        Raises:
            ExchangeError: the content is no export of a version that is known; the message names the field.
        """
        from . import exchange

        session, pictures, session_turns = exchange.read(content)
        for data in pictures:
            self.add_image(data)
        with self._write() as connection:
            told = (session.title, session.created, session.updated, session.pinned)
            session_id = rows.insert_session(connection, *told)
            for turn in session_turns:
                corrections = rows.corrections_json(turn.corrections)
                own = {"created": turn.created, "feedback": turn.feedback, "corrections": corrections}
                rows.insert_turn(connection, session_id, turn.number, turn, **own)
            return rows.read_session(connection, session_id)

    def export_markdown(self, session_id: str, folder: Path) -> Path:
        """Write a session's pictures and `conversation.md`, which is returned, to `folder`, made if need be.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: a picture's file is gone.
            StorageError: the folder cannot be written.
        """
        return markdown.write(*self._whole(session_id), self._folder, folder)

    def export_coco(self, session_id: str) -> str:
        """Return a session's boxes as JSON in the COCO format: `bbox` is x, y, width, height in pixels.

        Pixels are those of the picture as a person sees it; `file_name` is the name of its file in the store.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        return coco.write(*self._whole(session_id), self._folder)

    def export_yolo(self, session_id: str) -> bytes:
        """Return a session's boxes and pictures as an archive in the YOLO format.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: a picture's file is gone.
        """
        return detector_formats.yolo(self.turns(session_id), self._folder)

    def export_pascal_voc(self, session_id: str) -> bytes:
        """Return a session's boxes and pictures as an archive in the Pascal VOC format.

        Raises:
            SessionNotFoundError: there is no such session.
            ImageError: a picture's file is gone.
        """
        return detector_formats.pascal_voc(self.turns(session_id), self._folder)

    def verify(self) -> list[Problem]:
        """Return what is wrong: damage, rows without their parents, pictures missing, changed or unused.

        Every picture's file is read. A write that another program is in the midst of may show as a problem.
        """
        with self._engine.begin() as connection:
            return list(check.problems(connection, self._folder))

    # --- inside --------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._writing, self._writer.begin() as connection:
            yield connection

    def _whole(self, session_id: str) -> tuple[SessionSummary, list[StoredTurn]]:
        with self._engine.begin() as connection:
            return rows.read_session(connection, session_id), rows.read_turns(connection, session_id)


def _folder_beside(url: URL) -> Path:
    """Return the default folder of the pictures of a SQLite file."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        raise StorageError("a server's database needs an image_folder for the pictures")
    file = Path(url.database)
    return file.with_name(f"{file.name}.images")

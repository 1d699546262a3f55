"""The tables as the store's queries see them; Alembic creates them (see `migrations/`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import TypeEngine

from ..vlm.grounding import Box
from .records import LabelledBox

# The newest migration. A database at this revision is opened without Alembic.
REVISION = "0006"
# Not Alembic's default name, so that another program's tables can share the server database.
VERSION_TABLE = "assistant_version"
# The name of SQLite's full-text index.
SEARCH_TABLE = "turns_search"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Converted(TypeDecorator[Any]):
    """A column whose values `write` converts for the database and `read` restores; None is null."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def __init__(
        self, stored: TypeEngine[Any], write: Callable[[Any], Any], read: Callable[[Any], Any]
    ) -> None:
        super().__init__()
        self.impl, self.write, self.read = stored, write, read

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Convert a value for the database."""
        return None if value is None else self.write(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Convert a value from the database."""
        return None if value is None else self.read(value)


# Naive UTC in the database, which all databases sort and return the same way.
TIME = Converted(
    DateTime(), lambda time: time.astimezone(UTC).replace(tzinfo=None), lambda time: time.replace(tzinfo=UTC)
)
# Some databases cannot store NUL and lone surrogates, which undecodable bytes on the command line become.
WORDS = Converted(Text(), lambda text: _UNSTORABLE.sub("\ufffd", text), str)
# A box as `[x0, y0, x1, y1]`.
REGION = Converted(JSON(none_as_null=True), lambda box: list(box.bins), lambda bins: Box(*bins))
# Labelled boxes as `[phrase, [left, top, right, bottom], score]`.
CORRECTIONS = Converted(
    JSON(none_as_null=True),
    lambda boxes: [[box.phrase, list(box.corners), box.score] for box in boxes],
    lambda boxes: tuple(LabelledBox(phrase, tuple(corners), score) for phrase, corners, score in boxes),
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("title", WORDS, nullable=False),
    Column("created", TIME, nullable=False),
    Column("updated", TIME, nullable=False, index=True),
    Column("pinned", Boolean, nullable=False, server_default=false()),
    # A visitor of the page; null for the local user.
    Column("owner", String(255), index=True),
    # The secret part of a read-only link; null if there is none.
    Column("link", String(64), index=True, unique=True),
)

images = Table(
    "images",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("format", String(16), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    # When the image was last added for a future turn; null once a turn uses it.
    Column("awaited", TIME),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("user", WORDS, nullable=False),
    Column("region", REGION),
    Column("image", ForeignKey("images.sha256"), index=True),
    Column("answer", WORDS, nullable=False),
    Column("model", WORDS, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("created", TIME, nullable=False),
    Column("feedback", Integer),
    Column("why", WORDS, nullable=False, server_default=""),
    Column("stopped", Boolean, nullable=False, server_default=false()),
    # Null if nobody corrected the boxes.
    Column("corrections", CORRECTIONS),
    UniqueConstraint("session_id", "number"),
    CheckConstraint("feedback IN (-1, 0, 1)", "feedback"),
)

steps = Table(
    "steps",
    metadata,
    Column("turn_id", ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("task", WORDS),
    Column("argument", WORDS, nullable=False),
    Column("region", REGION),
    Column("text", WORDS, nullable=False),
    Column("raw", WORDS, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("model", WORDS, nullable=False),
    Column("error", WORDS),
    sqlite_with_rowid=False,
)

# `position` numbers the boxes of a step, `phrase_position` their phrases; `start` is the phrase's offset in
# the step's text. `agrees` and `opinion` are null if the box was not checked.
boxes = Table(
    "boxes",
    metadata,
    Column("turn_id", Integer, primary_key=True, autoincrement=False),
    Column("step_position", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("phrase_position", Integer, nullable=False),
    Column("phrase", WORDS, nullable=False),
    Column("start", Integer, nullable=False),
    *(Column(corner, Integer, nullable=False) for corner in ("x0", "y0", "x1", "y1")),
    Column("score", Float),
    Column("agrees", Boolean),
    Column("opinion", WORDS),
    ForeignKeyConstraint(
        ["turn_id", "step_position"], ["steps.turn_id", "steps.position"], ondelete="CASCADE"
    ),
    CheckConstraint("0 <= x0 AND x0 <= x1 AND x1 <= 100 AND 0 <= y0 AND y0 <= y1 AND y1 <= 100", "bins"),
    CheckConstraint("0 <= score AND score <= 1", "score"),
    sqlite_with_rowid=False,
)

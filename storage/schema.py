"""The tables as the store's queries see them; Alembic creates them (see `migrations/`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
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

from ..vlm.grounding import Box
from .records import LabelledBox

# The newest migration. A database at this revision is opened without Alembic.
REVISION = "0006"
# Not Alembic's default name, so that another program's tables can share the server database.
VERSION_TABLE = "assistant_version"
# The name of SQLite's full-text index.
SEARCH_TABLE = "turns_search"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware time stored as naive UTC, which all databases sort and return the same way."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert an aware time to naive UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Restore the time zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class Words(TypeDecorator[str]):
    """Text from people and models; characters that some databases cannot store become U+FFFD.

    Lone surrogates come from undecodable bytes on the command line.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Replace NUL and lone surrogates."""
        return None if value is None else _UNSTORABLE.sub("\ufffd", value)


class Region(TypeDecorator[Box]):
    """A box as a JSON list `[x0, y0, x1, y1]`."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Box | None, dialect: Dialect) -> list[int] | None:  # noqa: ARG002
        """Convert a box to its corners."""
        return None if value is None else list(value.bins)

    def process_result_value(self, value: list[int] | None, dialect: Dialect) -> Box | None:  # noqa: ARG002
        """Convert corners to a box."""
        return None if value is None else Box(*value)


class Corrections(TypeDecorator[tuple[LabelledBox, ...]]):
    """Labelled boxes as a JSON list of `[phrase, [left, top, right, bottom], score]`."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: Sequence[LabelledBox] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> list[Any] | None:
        """Convert boxes to lists."""
        return None if value is None else [[box.phrase, list(box.corners), box.score] for box in value]

    def process_result_value(
        self,
        value: list[Any] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> tuple[LabelledBox, ...] | None:
        """Convert lists to boxes."""
        if value is None:
            return None
        return tuple(LabelledBox(phrase, tuple(corners), score) for phrase, corners, score in value)


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
    Column("title", Words, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime, nullable=False, index=True),
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
    Column("awaited", UtcDateTime),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("user", Words, nullable=False),
    Column("region", Region),
    Column("image", ForeignKey("images.sha256"), index=True),
    Column("answer", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("feedback", Integer),
    Column("why", Words, nullable=False, server_default=""),
    Column("stopped", Boolean, nullable=False, server_default=false()),
    # Null if nobody corrected the boxes.
    Column("corrections", Corrections),
    UniqueConstraint("session_id", "number"),
    CheckConstraint("feedback IN (-1, 0, 1)", "feedback"),
)

steps = Table(
    "steps",
    metadata,
    Column("turn_id", ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("task", Words),
    Column("argument", Words, nullable=False),
    Column("region", Region),
    Column("text", Words, nullable=False),
    Column("raw", Words, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("model", Words, nullable=False),
    Column("error", Words),
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
    Column("phrase", Words, nullable=False),
    Column("start", Integer, nullable=False),
    Column("x0", Integer, nullable=False),
    Column("y0", Integer, nullable=False),
    Column("x1", Integer, nullable=False),
    Column("y1", Integer, nullable=False),
    Column("score", Float),
    Column("agrees", Boolean),
    Column("opinion", Words),
    ForeignKeyConstraint(
        ["turn_id", "step_position"], ["steps.turn_id", "steps.position"], ondelete="CASCADE"
    ),
    CheckConstraint("0 <= x0 AND x0 <= x1 AND x1 <= 100 AND 0 <= y0 AND y0 <= y1 AND y1 <= 100", "bins"),
    CheckConstraint("0 <= score AND score <= 1", "score"),
    sqlite_with_rowid=False,
)

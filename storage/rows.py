"""Convert between database rows and values."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.engine import Connection

from ..vlm.errors import ImageError
from ..vlm.grounding import Box, GroundedPhrase
from .errors import AmbiguousSessionError, SessionNotFoundError
from .forms import CheckedBox, Verification, verification_of
from .records import NewTurn, SessionSummary, StoredImage, StoredStep, StoredTurn
from .schema import boxes, images, sessions, steps, turns

_IMAGE = [images.c[name] for name in ("sha256", "format", "width", "height", "size")]
# The columns that are fields of the same name.
_TURN = ("user", "region", "answer", "model", "seconds", "why", "stopped")
_STORED_TURN = ("session_id", "number", "created", "feedback", "corrections")
_STEP = ("task", "argument", "region", "text", "raw", "seconds", "model", "error")
_SESSIONS: Select[Any] = select(
    *(sessions.c[name] for name in ("id", "title", "created", "updated", "pinned")),
    select(func.count()).where(turns.c.session_id == sessions.c.id).scalar_subquery(),
    sessions.c.owner,
)


def read_sessions(
    connection: Connection, limit: int | None, allowed: ColumnElement[bool]
) -> list[SessionSummary]:
    """Return the sessions that satisfy `allowed`, pinned ones first, then by newest turn."""
    order = (sessions.c.pinned.desc(), sessions.c.updated.desc(), sessions.c.id)
    query = _SESSIONS.where(allowed).order_by(*order).limit(limit)
    return [SessionSummary(*row) for row in connection.execute(query)]


def read_session(connection: Connection, session_id: str, allowed: ColumnElement[bool]) -> SessionSummary:
    """Return one session that satisfies `allowed`.

    Raises:
        SessionNotFoundError: there is no such session.
    """
    row = connection.execute(_SESSIONS.where(sessions.c.id == session_id, allowed)).one_or_none()
    if row is None:
        raise SessionNotFoundError(f"there is no session {session_id!r}; list the sessions to see their ids")
    return SessionSummary(*row)


def find_session(connection: Connection, beginning: str, allowed: ColumnElement[bool]) -> SessionSummary:
    """Return the session whose id is `beginning`, or the only one whose id starts with it.

    Raises:
        SessionNotFoundError: there is no such session.
        AmbiguousSessionError: there are several.
    """
    begins = sessions.c.id.startswith(beginning, autoescape=True)
    ids = connection.scalars(select(sessions.c.id).where(begins, allowed).order_by(sessions.c.id)).all()
    if beginning in ids or not beginning or not ids:
        return read_session(connection, beginning, allowed)
    if len(ids) > 1:
        some = ", ".join(ids[:3]) + (" …" if len(ids) > 3 else "")
        raise AmbiguousSessionError(f"the ids of {len(ids)} sessions begin with {beginning!r}: {some}")
    return read_session(connection, ids[0], allowed)


def insert_session(connection: Connection, **columns: Any) -> str:
    """Insert a session and return its new id."""
    session_id = secrets.token_hex(8)
    connection.execute(insert(sessions).values(id=session_id, **columns))
    return session_id


def read_images(connection: Connection) -> list[StoredImage]:
    """Return all images."""
    return [StoredImage(*row) for row in connection.execute(select(*_IMAGE))]


def read_image(connection: Connection, sha256: str) -> StoredImage | None:
    """Return one image, or None."""
    row = connection.execute(select(*_IMAGE).where(images.c.sha256 == sha256)).one_or_none()
    return None if row is None else StoredImage(*row)


def insert_turn(connection: Connection, session_id: str, number: int, turn: NewTurn, **columns: Any) -> None:
    """Insert a turn with its steps and boxes; `columns` are the fields that only a `StoredTurn` has.

    Raises:
        ImageError: the turn's image is not in the store.
    """
    if turn.image:
        arrived = update(images).where(images.c.sha256 == turn.image.sha256).values(awaited=None)
        if connection.execute(arrived).rowcount == 0:
            raise ImageError(f"the image {turn.image.sha256} is not in the store; add it again")
    columns |= {name: getattr(turn, name) for name in _TURN}
    statement = insert(turns).values(
        session_id=session_id, number=number, image=turn.image and turn.image.sha256, **columns
    )
    turn_id: int = connection.execute(statement.returning(turns.c.id)).scalar_one()
    step_rows = [_step_row(turn_id, position, step) for position, step in enumerate(turn.steps, 1)]
    box_rows = [row for number, step in enumerate(turn.steps, 1) for row in _box_rows(turn_id, number, step)]
    for table, rows in ((steps, step_rows), (boxes, box_rows)):
        if rows:
            connection.execute(insert(table), rows)


def read_turns(connection: Connection, session_id: str, first: int = 1) -> list[StoredTurn]:
    """Return a session's turns from number `first`, in order, with steps and boxes."""
    chosen = (turns.c.session_id == session_id) & (turns.c.number >= first)
    turn_rows = connection.execute(
        select(turns, *_IMAGE[1:]).outerjoin(images).where(chosen).order_by(turns.c.number)
    ).all()
    step_rows = connection.execute(
        select(steps).join(turns).where(chosen).order_by(steps.c.turn_id, steps.c.position)
    ).all()
    box_rows = connection.execute(
        select(boxes)
        .join(turns, turns.c.id == boxes.c.turn_id)
        .where(chosen)
        .order_by(boxes.c.turn_id, boxes.c.step_position, boxes.c.position)
    )
    step_boxes: defaultdict[tuple[int, int], list[Row[Any]]] = defaultdict(list)
    for row in box_rows:
        step_boxes[row.turn_id, row.step_position].append(row)
    turn_steps: defaultdict[int, list[StoredStep]] = defaultdict(list)
    for row in step_rows:
        turn_steps[row.turn_id].append(_step(row, step_boxes[row.turn_id, row.position]))
    return [_turn(row, turn_steps[row.id]) for row in turn_rows]


def _turn(row: Row[Any], steps_: Iterable[StoredStep]) -> StoredTurn:
    image = StoredImage(row.image, row.format, row.width, row.height, row.size) if row.image else None
    columns = {name: getattr(row, name) for name in (*_TURN, *_STORED_TURN)}
    return StoredTurn(image=image, steps=tuple(steps_), **columns)


def _step(row: Row[Any], box_rows: Sequence[Row[Any]]) -> StoredStep:
    groups = groupby(box_rows, lambda box: box.phrase_position)
    phrases = tuple(_phrase(list(group)) for _, group in groups)
    return StoredStep(phrases=phrases, **{name: getattr(row, name) for name in _STEP})


def _phrase(rows: Sequence[Row[Any]]) -> GroundedPhrase:
    return GroundedPhrase(rows[0].phrase, tuple(map(_box, rows)), rows[0].start)


def _box(row: Row[Any]) -> Box:
    verification = None if row.agrees is None else Verification(row.agrees, row.opinion)
    return CheckedBox.of(Box(row.x0, row.y0, row.x1, row.y1, row.score), verification)


def _step_row(turn_id: int, position: int, step: StoredStep) -> dict[str, Any]:
    return {"turn_id": turn_id, "position": position} | {name: getattr(step, name) for name in _STEP}


def _box_rows(turn_id: int, step_position: int, step: StoredStep) -> list[dict[str, Any]]:
    found = [(number, phrase, box) for number, phrase in enumerate(step.phrases, 1) for box in phrase.boxes]
    return [
        {
            "turn_id": turn_id,
            "step_position": step_position,
            "position": position,
            "phrase_position": number,
            "phrase": phrase.text,
            "start": phrase.start,
            **dict(zip(("x0", "y0", "x1", "y1"), box.bins, strict=True)),
            "score": box.score,
            "agrees": verified.agrees if verified else None,
            "opinion": verified.opinion if verified else None,
        }
        for position, (number, phrase, box) in enumerate(found, 1)
        for verified in [verification_of(box)]
    ]

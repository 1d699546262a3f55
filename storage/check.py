"""Check a store's integrity: damage, inconsistencies and unused images."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ForeignKeyConstraint, and_, exists, func, or_, select, text
from sqlalchemy.engine import Connection

from ..vlm.errors import ImageError
from .images import ImageFolder
from .records import Problem
from .rows import read_images
from .schema import images, metadata, turns


def problems(connection: Connection, folder: ImageFolder) -> Iterator[Problem]:
    """Yield every problem; reads all image files, so it is slow."""
    if connection.dialect.name == "sqlite":
        for (line,) in connection.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield Problem("database", line)
    yield from _orphans(connection)
    yield from _gaps(connection)
    yield from _images(connection, folder)


def _orphans(connection: Connection) -> Iterator[Problem]:
    """Yield a problem for each foreign key with violations."""
    for table in metadata.sorted_tables:
        for constraint in table.constraints:
            if not isinstance(constraint, ForeignKeyConstraint):
                continue
            parent = constraint.referred_table.alias()
            pairs = [(key.parent, parent.c[key.column.name]) for key in constraint.elements]
            missing = ~exists().where(and_(*(child == column for child, column in pairs)))
            given = and_(*(child.is_not(None) for child, _ in pairs))
            count = connection.scalar(select(func.count()).select_from(table).where(given, missing))
            if count:
                parent_name = constraint.referred_table.name
                yield Problem(table.name, f"{count} refer to a missing row in {parent_name}")


def _gaps(connection: Connection) -> Iterator[Problem]:
    count, last = func.count(), func.max(turns.c.number)
    query = select(turns.c.session_id).group_by(turns.c.session_id)
    query = query.having(or_(count != last, func.min(turns.c.number) != 1))
    for session_id in connection.scalars(query):
        yield Problem(f"session {session_id}", "its turns are not numbered 1, 2, 3 and so on")


def _images(connection: Connection, folder: ImageFolder) -> Iterator[Problem]:
    known = read_images(connection)
    for image in known:
        try:
            folder.load(image)
        except ImageError as error:
            yield Problem(f"image {image.sha256}", str(error))
    for path in folder.stray(known):
        yield Problem(str(path), "belongs to no image; `sweep` removes it")
    unused = select(images.c.sha256).where(~exists().where(turns.c.image == images.c.sha256))
    for sha256 in connection.scalars(unused.where(images.c.awaited.is_(None))):
        yield Problem(f"image {sha256}", "no turn uses it; `sweep` removes it")

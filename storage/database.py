"""Open and migrate a database, set up its transactions, and translate its errors.

Messages contain no password: they show URLs without it, and without their query, which may hold one too.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..vlm.errors import first_line
from ..vlm.extras import require
from .errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseMissingError,
    DatabaseNotWritableError,
    DiskFullError,
    NewerDatabaseError,
    StorageError,
)
from .schema import REVISION, VERSION_TABLE, metadata

# Prefixes of SQLite's error names, with our exception and message.
_SQLITE_ERRORS: tuple[tuple[str, type[StorageError], str], ...] = (
    ("SQLITE_NOTADB", DatabaseDamagedError, "is not a database; move it away or name another file"),
    ("SQLITE_CORRUPT", DatabaseDamagedError, "is damaged; restore a backup, or move it away to start over"),
    ("SQLITE_BUSY", DatabaseBusyError, "is locked by another program; try again when it is done"),
    ("SQLITE_LOCKED", DatabaseBusyError, "is locked by another program; try again when it is done"),
    ("SQLITE_READONLY", DatabaseNotWritableError, "is not writable; check file and folder permissions"),
    ("SQLITE_CANTOPEN", DatabaseNotWritableError, "cannot be opened; check file and folder permissions"),
    ("SQLITE_FULL", DiskFullError, "cannot grow: the disk is full; make room and try again"),
    ("SQLITE_IOERR", StorageError, "cannot be read or written; check the disk's free space and health"),
)

_NOT_ALLOWED = "does not let this user write; grant USAGE and CREATE on the schema, and access to its tables"
# The same for PostgreSQL's SQLSTATE codes.
_POSTGRESQL_ERRORS: tuple[tuple[str, type[StorageError], str], ...] = (
    ("55P03", DatabaseBusyError, "is locked by another program; try again when it is done"),
    ("40", DatabaseBusyError, "was changed by another program at the same time; try again"),
    ("42501", DatabaseNotWritableError, _NOT_ALLOWED),
    ("25006", DatabaseNotWritableError, "is read-only; give the address of the primary server"),
    ("53100", DiskFullError, "cannot grow: the server's disk is full; make room and try again"),
    ("53300", DatabaseBusyError, "has too many connections; try again later, or raise max_connections"),
)
# Serializes migrations; an arbitrary number, unlike those of other programs on the same server.
_MIGRATION_LOCK = 7_246_581_093


def parse_location(location: str | Path) -> URL:
    """Return `location` if it is a URL, or the URL of the SQLite file at that path.

    Raises:
        StorageError: the URL is invalid, or names a SQLite database without a file.
    """
    if isinstance(location, str) and "://" in location:
        try:
            url = make_url(location)
            backend = url.get_dialect().name
        except (ArgumentError, NoSuchModuleError, ValueError):  # their messages may contain the password
            kind = location.partition("://")[0]
            hint = "give a path, or postgresql://user@host/database"
            raise StorageError(f"invalid database URL: {kind}://…; {hint}") from None
        if backend == "sqlite" and (url.database or ":memory:") == ":memory:":
            raise StorageError("conversations cannot be stored in memory; give the path of a database file")
        return url
    if str(location).startswith((":memory:", "file:")):  # SQLite's own names
        raise StorageError(f"{location} is not a path; give the path of a database file")
    path = Path(location).expanduser().absolute()
    if path.is_dir():
        raise StorageError(f"{path} is a folder; name a database file in it, such as {path / 'sessions.db'}")
    if not path.name or "\0" in str(path):
        raise StorageError(f"{str(location)!r} cannot be a file; give the path of a database file")
    return URL.create("sqlite", database=str(path))


def default_image_folder(url: URL) -> Path:
    """Return the default image folder of a SQLite file.

    Raises:
        StorageError: the database is on a server.
    """
    if url.get_backend_name() != "sqlite" or url.database is None:
        raise StorageError("a server's database needs a folder for the images: --images, ASSISTANT_IMAGES")
    file = Path(url.database)
    return file.with_name(f"{file.name}.images")


def create(url: URL, timeout: float, *, make: bool) -> Engine:
    """Return an engine that raises our errors; a SQLite writer waits `timeout` seconds for the lock.

    With `make`, the folder of a SQLite file is created if needed, and the file on the first connection.

    Raises:
        DatabaseMissingError: there is no SQLite file, and `make` is False.
        DatabaseNotWritableError: the folder cannot be created.
        StorageError: the database's driver is not installed.
    """
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database and not make:
        if not Path(url.database).exists():
            raise missing(url)
    elif sqlite and url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DatabaseNotWritableError(
                f"{url.database} cannot be created: {error.strerror}; name another with --db"
            ) from error
    if url.get_driver_name() == "psycopg":
        require("postgresql", "a PostgreSQL database")
    try:
        engine = create_engine(url, **_options(url, timeout))
    except ImportError as error:
        raise StorageError(f"no driver for {url.drivername!r}: install it, or use a file") from error
    event.listen(engine, "handle_error", _translate)
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _options(url: URL, timeout: float) -> dict[str, Any]:
    """Return the options of an engine whose statements wait `timeout` seconds for a lock."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": timeout}}
    # A server may restart between two questions, so test connections before use.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_driver_name() == "psycopg":
        given = {"connect_timeout": max(2, round(timeout)), "options": f"-c lock_timeout={timeout:.3f}s"}
        options["connect_args"] = {name: value for name, value in given.items() if name not in url.query}
    return options


def missing(url: URL) -> DatabaseMissingError:
    """Return the error for a database that is missing or has no tables."""
    return DatabaseMissingError(f"there are no sessions in {_name(url)}: check --db, or ask something first")


def writing(engine: Engine) -> Engine:
    """Return the same engine for write transactions: on SQLite they take the lock when they begin.

    A transaction that reads before it takes the lock fails if another one writes in between.
    """
    return engine.execution_options(immediate=True)


def revision(connection: Connection) -> str | None:
    """Return the database's current migration, None before the first.

    Raises:
        StorageError: the database belongs to another program.
    """
    tables = inspect(connection)
    if tables.has_table(VERSION_TABLE):
        current: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        return current
    names = tables.get_table_names()
    foreign = names if connection.dialect.name == "sqlite" else set(names) & set(metadata.tables)
    if foreign:
        raise DatabaseDamagedError(f"{_name(connection.engine.url)} belongs to another program; name another")
    return None


def migrate(engine: Engine, target: str = "head") -> None:
    """Migrate the tables to `target` in one transaction; do nothing if they are there already.

    Raises:
        NewerDatabaseError: the database has an unknown migration.
    """
    with writing(engine).connect() as connection:
        _pragma(connection, "journal_mode=WAL")  # stored in the file; readers can read during a write
        # Rebuilding a table drops it, which would delete the rows that refer to it.
        _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    # Other programs wait here, then find the migrations done.
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                _run_alembic(connection, target)
        finally:
            _pragma(connection, "foreign_keys=ON")


def _run_alembic(connection: Connection, target: str) -> None:
    # Imported lazily: an up-to-date database does not need Alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", f"{__package__}:migrations")
    current = revision(connection)
    try:
        ScriptDirectory.from_config(config).get_revision(current or "base")
    except CommandError as error:
        raise NewerDatabaseError(
            f"{_name(connection.engine.url)} was written by a newer version (its migration is {current!r}, "
            f"this version knows {REVISION!r}); update the program"
        ) from error
    command.upgrade(config, target)


def _pragma(connection: Connection, setting: str) -> None:
    """Set a SQLite pragma directly on the driver, since it has no effect within a transaction."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        try:
            driver.execute(f"PRAGMA {setting}")
        except sqlite3.DatabaseError as error:
            raise _error_for(error, connection.engine.url) from error


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
    # The driver begins transactions too late; `_begin_sqlite` begins them instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _translate(context: ExceptionContext) -> StorageError | None:
    """Return our error for a database failure, None for a programming error.

    Drivers raise `OperationalError` for failures, `DatabaseError` for a damaged SQLite file, and
    `InsufficientPrivilege` for missing PostgreSQL privileges.
    """
    original = context.original_exception
    kinds = {kind.__name__ for kind in type(original).__mro__}
    ours = kinds & {"OperationalError", "InsufficientPrivilege"} or type(original).__name__ == "DatabaseError"
    if context.is_pre_ping or not ours:  # SQLAlchemy replaces connections that fail the pre-ping
        return None
    return _error_for(original, context.engine.url if context.engine is not None else None)


def _error_for(original: BaseException, url: URL | None) -> StorageError:
    code = getattr(original, "sqlite_errorname", "") or getattr(original, "sqlstate", "") or ""
    for prefix, kind, remedy in (*_SQLITE_ERRORS, *_POSTGRESQL_ERRORS):
        if code.startswith(prefix):
            return kind(f"{_name(url)} {remedy}")
    remedy = "restore a backup" if isinstance(original, sqlite3.Error) else "check that the server is running"
    return StorageError(f"{_name(url)} cannot be used: {first_line(original)}; {remedy}")


def _name(url: URL | None) -> str:
    if url is None:
        return "the database"
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(query={}).render_as_string()

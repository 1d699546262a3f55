"""The connection: how a database is opened, what each transaction is, and how its errors are told."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

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

# SQLite's error names (the beginning of them), and what each is for a person.
_SQLITE_ERRORS: tuple[tuple[str, type[StorageError], str], ...] = (
    ("SQLITE_NOTADB", DatabaseDamagedError, "is not a database; move it away or name another file"),
    ("SQLITE_CORRUPT", DatabaseDamagedError, "is damaged; put back a copy, or move it away to begin anew"),
    ("SQLITE_BUSY", DatabaseBusyError, "is being written by another program; try again when it is done"),
    ("SQLITE_LOCKED", DatabaseBusyError, "is being written by another program; try again when it is done"),
    ("SQLITE_READONLY", DatabaseNotWritableError, "may not be written; check the rights of file and folder"),
    ("SQLITE_CANTOPEN", DatabaseNotWritableError, "cannot be opened; check the rights of file and folder"),
    ("SQLITE_FULL", DiskFullError, "cannot grow: the disk is full; make room and try again"),
    ("SQLITE_IOERR", StorageError, "cannot be read or written; check the disk's free space and health"),
)


def parse_location(location: str | Path) -> URL:
    """Return the URL of a database: itself, or a SQLite file's where `location` is a path.

    Raises:
        StorageError: it is a URL that cannot be read, or a SQLite database without a file.
    """
    if isinstance(location, str) and "://" in location:
        try:
            url = make_url(location)
            backend = url.get_backend_name()
        except (ArgumentError, NoSuchModuleError) as error:
            raise StorageError(f"not a database's URL: {location!r}; give a path or a URL") from error
        if backend == "sqlite" and (url.database or ":memory:") == ":memory:":
            raise StorageError("conversations are not kept in memory; give the path of a database file")
        return url
    return URL.create("sqlite", database=str(Path(location).expanduser().absolute()))


def create(url: URL, timeout: float, *, make: bool) -> Engine:
    """Return an engine whose errors are ours; a SQLite writer waits `timeout` seconds for another.

    With `make` the folder of a SQLite file is made if need be; the file itself is, on the first connection.

    Raises:
        DatabaseMissingError: a SQLite file is not there, and is not to be made.
        DatabaseNotWritableError: the folder cannot be made.
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
                f"{url.database} cannot be made: {error.strerror}; name another with --db"
            ) from error
    try:
        engine = create_engine(url, connect_args={"timeout": timeout} if sqlite else {})
    except (ImportError, NoSuchModuleError) as error:
        raise StorageError(f"no driver for {url.drivername!r}: install it, or use a file") from error
    event.listen(engine, "handle_error", _translate)
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def missing(url: URL) -> DatabaseMissingError:
    """Return the error for a database that is not there, or holds no tables."""
    return DatabaseMissingError(f"no sessions are kept in {_name(url)}: check --db, or ask something first")


def writing(engine: Engine) -> Engine:
    """Return the same engine for transactions that write: on SQLite they take the lock when they begin.

    One that read first and took the lock later would fail where another wrote in between.
    """
    return engine.execution_options(immediate=True)


def revision(connection: Connection) -> str | None:
    """Return the migration at which the database stands, None before the first.

    Raises:
        StorageError: it is a SQLite file of another program.
    """
    tables = inspect(connection)
    if tables.has_table(VERSION_TABLE):
        standing: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        return standing
    names = tables.get_table_names()
    foreign = names if connection.dialect.name == "sqlite" else set(names) & set(metadata.tables)
    if foreign:
        raise DatabaseDamagedError(f"{_name(connection.engine.url)} belongs to another program; name another")
    return None


def migrate(engine: Engine, target: str = "head") -> None:
    """Bring the database's tables to `target`, wholly or not at all; nothing happens where they stand there.

    Raises:
        NewerDatabaseError: the database has a migration that this program does not know.
    """
    with writing(engine).connect() as connection:
        _pragma(connection, "journal_mode=WAL")  # lasts in the file, and lets readers read while one writes
        # Rebuilding a table drops it, which would delete what refers to it.
        _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.begin():
                _run_alembic(connection, target)
        finally:
            _pragma(connection, "foreign_keys=ON")


def _run_alembic(connection: Connection, target: str) -> None:
    # Imported here: a database that is up to date is opened without Alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", f"{__package__}:migrations")
    standing = revision(connection)
    try:
        ScriptDirectory.from_config(config).get_revision(standing or "base")
    except CommandError as error:
        raise NewerDatabaseError(
            f"{_name(connection.engine.url)} was written by a newer version (it stands at {standing!r}, "
            f"this one knows {REVISION!r}); update the program"
        ) from error
    command.upgrade(config, target)


def _pragma(connection: Connection, setting: str) -> None:
    """Set something of SQLite's that has no effect within a transaction, and so goes to the driver itself."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        try:
            driver.execute(f"PRAGMA {setting}")
        except sqlite3.DatabaseError as error:
            raise _tell(error, connection.engine.url) from error


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
    # The driver would begin transactions by itself, and late; `_begin_sqlite` does.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _translate(context: ExceptionContext) -> StorageError | None:
    """Return our error for one that is the database's doing, None for a mistake of ours.

    Every driver calls the former `OperationalError`; SQLite's calls damage `DatabaseError`.
    """
    original = context.original_exception
    if type(original).__name__ not in ("OperationalError", "DatabaseError"):
        return None
    return _tell(original, context.engine.url if context.engine is not None else None)


def _tell(original: BaseException, url: URL | None) -> StorageError:
    code = getattr(original, "sqlite_errorname", "")
    for prefix, kind, remedy in _SQLITE_ERRORS:
        if code.startswith(prefix):
            return kind(f"{_name(url)} {remedy}")
    told, *_ = str(original).splitlines() or [""]
    remedy = "put back a copy" if isinstance(original, sqlite3.Error) else "see that the server runs"
    return StorageError(f"{_name(url)} cannot be used: {told}; {remedy}")


def _name(url: URL | None) -> str:
    if url is None:
        return "the database"
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()

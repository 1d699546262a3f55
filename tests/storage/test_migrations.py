"""The tables as migrations make them, from every state that a database may be in."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect

from assistant.storage import (
    DatabaseDamagedError,
    NewerDatabaseError,
    NewTurn,
    SessionStore,
    StorageError,
)
from assistant.storage import database as database_module
from assistant.storage.schema import REVISION, SEARCH_TABLE, VERSION_TABLE, metadata

MakeTurn = Callable[..., NewTurn]


@contextmanager
def engine_of(path: Path) -> Iterator[Engine]:
    engine = database_module.create(database_module.parse_location(path), timeout=5, make=True)
    try:
        yield engine
    finally:
        engine.dispose()


def schema(path: Path) -> list[tuple[str, ...]]:
    """Everything that SQLite knows of a database's tables, indexes and triggers, and where it stands."""
    with closing(sqlite3.connect(path)) as connection:
        items = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        return items + connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall()


def write_oldest(path: Path, *, rows: bool) -> None:
    """Make a database of the first migration, as its first users had it."""
    with engine_of(path) as engine:
        database_module.migrate(engine, "0001")
    if rows:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(
                """
                INSERT INTO sessions VALUES ('s', 'Old', '2026-01-01 00:00:00', '2026-01-02 00:00:00');
                INSERT INTO turns VALUES (7, 's', 1, 'Where is the dog?', '[1, 2, 3, 4]', NULL, 'There.',
                                          'nano', 0.5, '2026-01-01 00:00:01', 1);
                INSERT INTO steps VALUES (7, 1, 'refer', 'the dog', NULL, '', '{<1>}', 0.5, 'nano', NULL);
                INSERT INTO boxes VALUES (7, 1, 1, 1, 'the dog', 0, 1, 2, 3, 4, 0.5);
                """
            )


class TestSchema:
    def test_the_migrated_tables_are_those_of_the_program(self, store: SessionStore) -> None:
        def ours(name: str | None, kind: str, _: object) -> bool:
            if kind == "index":  # PostgreSQL's full-text index
                return name != "ix_turns_search"
            return not (kind == "table" and str(name).startswith((SEARCH_TABLE, VERSION_TABLE)))

        with store._engine.connect() as connection:
            options = {"include_name": ours, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, metadata) == []

    def test_constraints_are_the_same_however_the_tables_are_made(self, store: SessionStore) -> None:
        """The comparison above does not look at checks, at what a deletion does, or at names."""
        with store._engine.begin() as connection:
            migrated = constraints(connection)
        engine = create_engine(store._engine.url)
        if engine.dialect.name == "sqlite":
            engine = create_engine("sqlite://")
        with engine.begin() as connection:
            reflected = MetaData()
            reflected.reflect(connection)
            reflected.drop_all(connection)
            metadata.create_all(connection)
            assert constraints(connection) == migrated
        engine.dispose()

    def test_migrations_are_numbered_in_one_line_and_the_program_knows_the_last(self) -> None:
        config = Config()
        config.set_main_option("script_location", "assistant.storage:migrations")
        script = ScriptDirectory.from_config(config)
        numbers = [revision.revision for revision in script.walk_revisions()][::-1]
        assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
        assert script.get_heads() == [REVISION]
        files = [path.name[:4] for path in Path(script.versions).glob("[0-9]*.py")]
        assert sorted(files) == numbers

    def test_every_migration_can_be_undone(self, database: Path) -> None:
        write_oldest(database, rows=True)
        SessionStore.open(database).close()
        with engine_of(database) as engine, engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", "assistant.storage:migrations")
            command.downgrade(config, "base")
            assert inspect(connection).get_table_names() == [VERSION_TABLE]


class TestOpening:
    def test_a_blank_file_becomes_a_store(self, database: Path, make_turn: MakeTurn) -> None:
        database.parent.mkdir()
        database.touch()
        with SessionStore.open(str(database)) as store:
            store.append_turn(store.create_session().id, make_turn())
            assert store.verify() == []

    @pytest.mark.parametrize("rows", [False, True], ids=["without rows", "with rows"])
    def test_the_oldest_database_is_brought_up_to_date(self, database: Path, rows: bool) -> None:
        write_oldest(database, rows=rows)
        with SessionStore.open(database) as store:
            assert len(store.list_sessions()) == rows
            assert [hit.snippet for hit in store.search("dog")] == ["Where is the dog?"] * rows
            if rows:
                (turn,) = store.turns("s")
                assert turn.steps[0].phrases[0].boxes[0].bins == turn.region.bins == (1, 2, 3, 4)
                assert (turn.why, turn.stopped, turn.steps[0].verifications) == ("", False, ())
                assert store.append_turn("s", NewTurn("q", "a")).number == 2
            assert store.verify() == []

    def test_opening_twice_changes_nothing(self, database: Path) -> None:
        SessionStore.open(database).close()
        before = schema(database)
        with engine_of(database) as engine:
            database_module.migrate(engine)
        SessionStore.open(database).close()
        assert schema(database) == before

    def test_a_migration_that_fails_leaves_the_database_as_it_was_and_can_be_finished(
        self, database: Path
    ) -> None:
        write_oldest(database, rows=True)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TRIGGER turns_search_update AFTER DELETE ON turns BEGIN SELECT 1; END")
        before = schema(database)
        with pytest.raises(Exception, match="turns_search_update already exists"):
            SessionStore.open(database)
        assert schema(database) == before
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("DROP TRIGGER turns_search_update")
        with SessionStore.open(database) as store:
            assert len(store.search("dog")) == 1

    def test_many_may_open_a_new_database_at_once(self, store: SessionStore, database: Path) -> None:
        store.close()
        location: str | Path = database.with_name("new.db")
        if store._engine.dialect.name != "sqlite":
            with store._engine.begin() as connection:
                everything = MetaData()
                everything.reflect(connection)
                everything.drop_all(connection)
            location = store._engine.url.render_as_string(hide_password=False)
        errors: list[BaseException] = []

        def begin() -> None:
            try:
                with SessionStore.open(location, image_folder=database.parent / "new") as opened:
                    opened.create_session()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        with SessionStore.open(location, image_folder=database.parent / "new") as opened:
            assert len(opened.list_sessions()) == 6

    def test_a_newer_database_is_refused_and_left_alone(self, database: Path) -> None:
        SessionStore.open(database).close()
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        before = schema(database)
        with pytest.raises(NewerDatabaseError, match=r"newer version .*'9999'.*update the program") as caught:
            SessionStore.open(database)
        assert "\n" not in str(caught.value)
        assert schema(database) == before

    def test_another_programs_database_is_refused_and_left_alone(self, database: Path) -> None:
        database.parent.mkdir()
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE recipes (name)")
        with pytest.raises(DatabaseDamagedError, match="another program"):
            SessionStore.open(database)
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]

    def test_a_server_that_is_not_there_is_one_clear_line(self, tmp_path: Path) -> None:
        pytest.importorskip("psycopg", reason="PostgreSQL's driver psycopg is not installed")
        with pytest.raises(
            StorageError, match=r"cannot be used: .*; check that the server is running"
        ) as caught:
            SessionStore.open(
                f"postgresql+psycopg://me:secret@/x?host={tmp_path}", image_folder=tmp_path / "pictures"
            )
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


class TestLightness:
    def test_using_a_current_database_loads_no_heavy_package(self, database: Path) -> None:
        SessionStore.open(database).close()
        code = (
            "import sys; from assistant.storage import SessionStore\n"
            f"store = SessionStore.open({str(database)!r}); store.create_session(); store.search('x')\n"
            "heavy = {'alembic', 'torch', 'langchain', 'langchain_core', 'numpy', 'streamlit'}\n"
            "print(*sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("\n", "")


def constraints(connection: Connection) -> dict[str, object]:
    """What each table demands: keys, references, checks and indexes, with their names."""
    found: dict[str, object] = {}
    database = inspect(connection)
    for table in metadata.tables:
        found[table] = [
            database.get_pk_constraint(table),
            *sorted(map(str, database.get_foreign_keys(table))),
            *sorted(map(str, database.get_unique_constraints(table))),
            *sorted(map(str, database.get_check_constraints(table))),
            *sorted(str(item) for item in database.get_indexes(table) if item["name"] != "ix_turns_search"),
            *[(item["name"], str(item["type"]), item["nullable"]) for item in database.get_columns(table)],
        ]
    return found

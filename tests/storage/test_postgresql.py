"""A store on a PostgreSQL server: several programs, full-text search, and messages without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from assistant.storage import (
    DatabaseBusyError,
    DatabaseNotWritableError,
    NewTurn,
    SessionStore,
    StorageError,
)
from assistant.storage.search import _POSTGRESQL_WORDS

WRITER = str(Path(__file__).with_name("writer.py"))
OPEN = (
    "import sys; from pathlib import Path; from assistant.storage import SessionStore\n"
    "SessionStore.open(sys.argv[1], image_folder=Path(sys.argv[2])).create_session()"
)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def store(empty_postgresql: str, tmp_path: Path) -> Iterator[SessionStore]:
    with SessionStore.open(empty_postgresql, image_folder=tmp_path / "pictures", timeout=0.5) as opened:
        yield opened


class TestSeveralPrograms:
    def test_programs_that_start_at_once_make_the_tables_once(
        self, empty_postgresql: str, tmp_path: Path
    ) -> None:
        # Each has a folder of its own, so no lock on a file keeps them apart.
        programs = [start("-c", OPEN, empty_postgresql, str(tmp_path / str(number))) for number in range(3)]
        assert [program.communicate(timeout=120)[1] for program in programs] == [""] * 3
        with SessionStore.open(empty_postgresql, image_folder=tmp_path / "0") as store:
            assert len(store.list_sessions()) == 3

    def test_two_programs_lose_nothing(self, store: SessionStore, empty_postgresql: str) -> None:
        shared, pictures = store.create_session("shared").id, str(store._folder.path)
        arguments = (WRITER, empty_postgresql, "4", "24", shared, pictures)
        kept: Counter[str] = Counter()
        for program in [start(*arguments) for _ in range(2)]:
            output, errors = program.communicate(timeout=120)
            assert (program.returncode, errors) == (0, "")
            kept += Counter(line.split()[0] for line in output.splitlines())
        assert kept.total() == 2 * 4 * 24
        assert {session.id: session.turns for session in store.list_sessions()} == dict(kept)
        assert [turn.number for turn in store.turns(shared)] == list(range(1, kept[shared] + 1))
        assert store.verify() == []

    def test_a_restart_of_the_server_costs_no_answer(
        self, store: SessionStore, empty_postgresql: str
    ) -> None:
        session = store.create_session().id
        execute(
            empty_postgresql,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        )
        assert store.append_turn(session, NewTurn("q", "a")).number == 1

    def test_a_lock_of_another_program_is_awaited_then_reported(
        self, store: SessionStore, empty_postgresql: str
    ) -> None:
        session = store.create_session().id
        engine = create_engine(empty_postgresql)
        with engine.begin() as other:
            other.execute(text("SELECT * FROM sessions FOR UPDATE"))
            with pytest.raises(DatabaseBusyError, match="try again"):
                store.append_turn(session, NewTurn("q", "a"))
        engine.dispose()
        assert store.append_turn(session, NewTurn("q", "a")).number == 1


class TestSearch:
    def test_the_index_is_used(self, store: SessionStore) -> None:
        with store._engine.begin() as connection:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            query = text(
                f"EXPLAIN SELECT id FROM turns WHERE {_POSTGRESQL_WORDS} @@ to_tsquery('simple', 'dog:*')"
            )
            plan = "\n".join(connection.scalars(query))
        assert "ix_turns_search" in plan

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            pytest.param("dog", [2, 1], id="after a slash, and by itself"),
            pytest.param("og", [], id="not within a word"),
            pytest.param("CAF", [2], id="case and beginnings"),
            pytest.param("example", [1], id="part of a host's name"),
            pytest.param("the", [2, 1], id="a word that English ignores"),
            pytest.param("'dog' & !cat", [1], id="signs are no operators"),
        ],
    )
    def test_words_are_found_across_any_separator(
        self, store: SessionStore, words: str, found: list[int]
    ) -> None:
        session = store.create_session().id
        store.append_turn(session, NewTurn("Is the cat/dog on www.example.org?", "No."))
        store.append_turn(session, NewTurn("Where is the dog?", "In the café."))
        assert [hit.number for hit in store.search(words)] == found

    def test_a_turn_that_is_too_long_for_the_index_is_kept(self, store: SessionStore) -> None:
        session = store.create_session().id
        long = "".join(f"{number:x} " for number in range(300_000)) + "w" * 5000
        store.append_turn(session, NewTurn("needle", long))
        assert [hit.number for hit in store.search("needle")] == [1]


class TestMessages:
    @pytest.mark.parametrize(
        ("location", "says"),
        [
            (
                "postgres://me:hush@host/x",
                "invalid database URL: postgres://…; give a path, or postgresql://",
            ),
            ("postgresql://me:hush@host:port/x", "invalid database URL: postgresql://…"),
            ("postgresql://me:hush@127.0.0.1:1/x", "127.0.0.1:1/x cannot be used: .*refused"),
            ("postgresql://me@127.0.0.1:1/x?password=hush", "cannot be used"),
            ("postgresql+asyncpg2://me:hush@host/x", "invalid database URL"),
            ("oracle://me:hush@host/x", "no driver for 'oracle'"),
        ],
    )
    def test_a_location_that_cannot_be_used_is_one_line_without_the_password(
        self, location: str, says: str, tmp_path: Path
    ) -> None:
        pytest.importorskip("psycopg", reason="PostgreSQL's driver psycopg is not installed")
        with pytest.raises(StorageError, match=says) as caught:
            SessionStore.open(location, image_folder=tmp_path)
        error: BaseException | None = caught.value
        while error is not None:
            assert "hush" not in str(error)
            error = error.__cause__
        assert "\n" not in str(caught.value)

    def test_a_missing_driver_is_one_line_with_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(Exception, match=r"pip install 'visual-assistant\[postgresql\]'") as caught:
            SessionStore.open("postgresql://me:hush@host/x", image_folder=tmp_path)
        assert "hush" not in str(caught.value)

    def test_a_user_without_the_right_to_create_tables_gets_the_remedy(
        self, empty_postgresql: str, tmp_path: Path
    ) -> None:
        execute(
            empty_postgresql,
            "DROP ROLE IF EXISTS reader",
            "CREATE ROLE reader LOGIN",
            "GRANT USAGE ON SCHEMA public TO reader",
        )
        location = empty_postgresql.replace("postgres@", "reader:hush@")
        with pytest.raises(DatabaseNotWritableError, match="grant USAGE and CREATE") as caught:
            SessionStore.open(location, image_folder=tmp_path)
        assert "hush" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="the server of the tests listens on a Unix socket")
def test_the_short_form_of_the_url_serves_too(
    empty_postgresql: str, tmp_path: Path, make_picture: Callable[..., bytes]
) -> None:
    location = empty_postgresql.replace("postgresql+psycopg", "postgresql")
    with SessionStore.open(location, image_folder=tmp_path) as store:
        image = store.add_image(make_picture())
        session = store.create_session().id
        assert store.append_turn(session, NewTurn("q", "a", image)).image == image

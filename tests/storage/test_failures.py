"""A damaged, locked, read-only or full database gives one clear line and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assistant.storage import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseNotWritableError,
    NewTurn,
    SessionStore,
    StorageError,
)
from assistant.storage.database import create, migrate, parse_location

MakeTurn = Callable[..., NewTurn]

needs_posix = pytest.mark.skipif(os.name != "posix", reason="this way of failing needs a POSIX system")

# Fills the store at argv[1] until it fails, then prints the error. All turns before the failure are there.
FILL = """
import sys
from assistant.storage import NewTurn, SessionStore
from assistant.vlm.errors import AssistantError
store = SessionStore.open(sys.argv[1])
session = store.create_session()
{before}
turns = 0
try:
    while turns < 3000:
        store.append_turn(session.id, NewTurn("question " + "x" * 2000, "answer"))
        turns += 1
except AssistantError as error:
    print(type(error).__name__, turns, error, sep="|")
"""


def run(code: str, *arguments: str | Path) -> list[str]:
    """Run code that prints one line in a new process; return the parts of that line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return line.split("|")


class TestDamage:
    def test_a_file_that_is_no_database_is_refused_and_left_alone(self, database: Path) -> None:
        database.parent.mkdir()
        database.write_bytes(b"Dear diary, today I learned about SQLite.\n" * 100)
        before = database.read_bytes()
        with pytest.raises(DatabaseDamagedError, match=r"assistant\.db is not a database") as caught:
            SessionStore.open(database)
        assert "\n" not in str(caught.value)
        assert database.read_bytes() == before

    def test_damage_within_the_file_is_reported_when_it_is_read(
        self, database: Path, make_turn: MakeTurn
    ) -> None:
        with SessionStore.open(database) as store:
            session_id = store.create_session().id
            for _ in range(200):
                store.append_turn(session_id, make_turn())
        data = bytearray(database.read_bytes())
        data[len(data) // 3 : len(data) // 3 + 20_000] = b"\xa5" * 20_000
        database.write_bytes(data)
        with (
            pytest.raises(DatabaseDamagedError, match="is damaged") as caught,
            SessionStore.open(database) as store,
        ):
            store.turns(session_id)
        assert "\n" not in str(caught.value)

    def test_a_truncated_database_is_reported(self, database: Path, make_turn: MakeTurn) -> None:
        with SessionStore.open(database) as store:
            session_id = store.create_session().id
            for _ in range(50):
                store.append_turn(session_id, make_turn())
        os.truncate(database, database.stat().st_size // 2)
        with pytest.raises(DatabaseDamagedError), SessionStore.open(database) as store:
            store.turns(session_id)

    def test_a_missing_table_is_one_clear_line(self, database: Path) -> None:
        with SessionStore.open(database) as store:
            session_id = store.create_session().id
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("DROP TABLE boxes")
        with (
            SessionStore.open(database) as store,
            pytest.raises(StorageError, match="restore a backup") as caught,
        ):
            store.turns(session_id)
        assert "\n" not in str(caught.value)

    def test_orphans_and_gaps_are_found(self, database: Path, make_turn: MakeTurn) -> None:
        with SessionStore.open(database) as store:
            for _ in range(2):
                session_id = store.create_session().id
                for _ in range(3):
                    store.append_turn(session_id, make_turn())
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM turns WHERE id = 2")  # foreign keys are off on this connection
            connection.execute("DELETE FROM sessions WHERE id = ?", [session_id])
        with SessionStore.open(database) as store:
            problems = [str(problem) for problem in store.verify()]
        assert "turns: 3 refer to a missing row in sessions" in problems
        assert "steps: 2 refer to a missing row in turns" in problems
        assert any("not numbered" in problem for problem in problems)


class TestLocks:
    def test_a_locked_database_is_reported_and_works_afterwards(
        self, sqlite_store: SessionStore, database: Path, make_turn: MakeTurn
    ) -> None:
        session_id = sqlite_store.create_session().id
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusyError, match="another program; try again") as caught:
                sqlite_store.append_turn(session_id, make_turn())
            assert sqlite_store.turns(session_id) == []  # reading goes on
            other.execute("ROLLBACK")
        assert "\n" not in str(caught.value)
        assert sqlite_store.append_turn(session_id, make_turn()).number == 1

    def test_a_locked_new_database_is_reported(self, database: Path) -> None:
        database.parent.mkdir()
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(DatabaseBusyError):
                SessionStore.open(database, timeout=0.1)
        SessionStore.open(database).close()


@needs_posix
class TestRights:
    """Permissions do not bind root, so tests run by root drop privileges after imports."""

    @pytest.fixture
    def public(self) -> Iterator[Path]:
        """A folder that everybody can enter and only its owner can write."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            yield Path(folder)
            Path(folder).chmod(0o755)

    def test_a_read_only_folder_is_reported(self, public: Path) -> None:
        public.chmod(0o555)
        code = """
from assistant.storage import SessionStore, StorageError
import os, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    SessionStore.open(os.path.join(folder, "store.db")).close()  # loads what others may not be able to read
if os.geteuid() == 0:
    os.seteuid(65534)
for place in ("store.db", "deeper/store.db"):
    try:
        SessionStore.open(os.path.join(sys.argv[1], place))
    except StorageError as error:
        print(type(error).__name__, error, sep="|", end="|")
print()
"""
        first, line, second, deeper, _ = run(code, public)
        assert first == second == DatabaseNotWritableError.__name__
        assert line.endswith("store.db cannot be opened; check file and folder permissions")
        assert "cannot be created: Permission denied" in deeper
        assert list(public.iterdir()) == []

    @pytest.mark.parametrize("folder_mode", [0o555, 0o777])
    @pytest.mark.parametrize("revision", ["0001", "head"])
    def test_a_read_only_database_is_reported(self, public: Path, revision: str, folder_mode: int) -> None:
        engine = create(parse_location(public / "store.db"), timeout=1, make=True)
        migrate(engine, revision)
        engine.dispose()
        with closing(sqlite3.connect(public / "store.db")) as connection, connection:
            columns = "id, title, created, updated"
            connection.execute(
                f"INSERT INTO sessions ({columns}) VALUES ('kept', '', '2026-01-01', '2026-01-01')"
            )
        for path in public.iterdir():
            path.chmod(0o444)
        public.chmod(folder_mode)
        code = """
from assistant.storage import NewTurn, SessionStore, StorageError
import os, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    SessionStore.open(os.path.join(folder, "store.db")).close()  # loads what others may not be able to read
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    store = SessionStore.open(sys.argv[1])
    store.append_turn('kept', NewTurn("q", "a"))
except StorageError as error:
    print(type(error).__name__, error, sep="|")
"""
        kind, line = run(code, public / "store.db")
        assert kind == DatabaseNotWritableError.__name__
        assert "check file and folder permissions" in line
        public.chmod(0o755)
        with SessionStore.open(public / "store.db") as store:
            assert store.turns("kept") == []


@needs_posix
class TestFullDisk:
    def check(self, database: Path, turns: int) -> None:
        """Assert that the store has all committed turns, and accepts more when there is space."""
        with SessionStore.open(database) as store:
            (session,) = store.list_sessions()
            assert session.turns == turns > 0
            assert len(store.turns(session.id)) == turns
            assert store.verify() == []
            assert store.append_turn(session.id, NewTurn("q", "a")).number == turns + 1

    def test_a_file_size_limit_is_reported_and_loses_nothing(self, database: Path) -> None:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
        kind, turns, line = run(FILL.format(before=limit), database)
        assert kind in ("StorageError", "DiskFullError")
        assert "check the disk" in line or "disk is full" in line
        self.check(database, int(turns))

    def test_an_image_without_disk_space_is_reported_and_leaves_nothing(
        self, database: Path, tmp_path: Path, make_picture: Callable[..., bytes]
    ) -> None:
        SessionStore.open(database).close()
        picture = tmp_path / "large.bmp"
        picture.write_bytes(make_picture(kind="BMP", size=(400, 400)))
        code = """
import resource, sys
from pathlib import Path
from assistant.storage import SessionStore, StorageError
store = SessionStore.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store.add_image(Path(sys.argv[2]))
except StorageError as error:
    print(type(error).__name__, error, sep="|")
"""
        kind, line = run(code, database, picture)
        assert kind == "DiskFullError"
        assert "disk is full; make room" in line
        assert {path.name for path in Path(f"{database}.images").iterdir()} == {".lock"}
        with SessionStore.open(database) as store:
            assert store.verify() == []

    def test_a_full_disk_is_reported_and_loses_nothing(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=700k", "none", str(disk)], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip("only a superuser who may mount can make a disk that is full")
        try:
            kind, turns, line = run(FILL.format(before=""), disk / "store.db")
            assert kind == "DiskFullError"
            assert "the disk is full; make room and try again" in line
            subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
            self.check(disk / "store.db", int(turns))
        finally:
            subprocess.run(["umount", str(disk)], check=True)


def test_errors_are_of_the_family_that_the_command_line_prints() -> None:
    from assistant.vlm.errors import AssistantError

    assert issubclass(StorageError, AssistantError)

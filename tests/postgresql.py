"""A PostgreSQL server for tests, where one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text


def server_program(name: str) -> str | None:
    """Return the path of a program of PostgreSQL, None if it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL server for the test session, on a Unix socket."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver psycopg is not installed")
    initdb, control = server_program("initdb"), server_program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL server is installed on this machine")
    # The server refuses to run as root, and the path of its socket must be short.
    user = "postgres" if os.name == "posix" and os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        if user is not None:
            shutil.chown(folder, user)

        def run(*command: str) -> None:
            subprocess.run(command, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL, timeout=60)

        settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        run(initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        run(control, "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", settings, "-w", "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            run(control, "-D", f"{folder}/data", "-m", "immediate", "stop")


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> str:
    """The URL of a database without tables."""
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_url


__all__ = ["empty_postgresql", "postgresql_url", "server_program"]

"""The commands for backups in `docs/several-users.md` do what they promise."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from assistant.storage import NewTurn, SessionStore

from ..postgresql import server_program

DOCUMENT = Path(__file__).parents[2] / "docs" / "several-users.md"


def test_a_backup_brings_sessions_pictures_and_cookies_back(
    empty_postgresql: str, tmp_path: Path, make_picture: Callable[..., bytes]
) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition("\n## Backup\n")[2]
    back_up, restore = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    programs = server_program("pg_dump")
    if programs is None:
        pytest.skip("PostgreSQL's client programs are not installed")
    pictures = tmp_path / "pictures"
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(programs).parent), os.environ["PATH"]]),
        "ASSISTANT_DB": empty_postgresql.replace("+psycopg", ""),
        "ASSISTANT_IMAGES": str(pictures),
    }

    def run(script: str) -> None:
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    with SessionStore.open(empty_postgresql, image_folder=pictures) as store:
        session = store.create_session("kept").id
        store.append_turn(session, NewTurn("Where?", "There.", store.add_image(make_picture())))
        kept, secret = store.turns(session), store.secret()
        run(back_up)
        store.append_turn(session, NewTurn("And now?", "Too late."))

    engine = create_engine(empty_postgresql)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    pictures.rename(tmp_path / "lost")
    run(restore)
    with SessionStore.open(empty_postgresql, image_folder=pictures) as store:
        assert store.turns(session) == kept
        assert store.secret() == secret
        assert store.verify() == []
        assert [hit.session_id for hit in store.search("there")] == [session]

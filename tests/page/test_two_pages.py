"""Two pages that share one PostgreSQL database, one folder of pictures and one model server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.storage import SessionStore
from assistant.tests.vlm.model_server import Body, ModelServer, fails, question, says
from assistant.ui.page import settings
from assistant.ui.page.settings import Sessions

VISITING = str(Path(__file__).with_name("visiting.py"))
ASKED = [f"[vqa] what is number {number}?" for number in range(3)]


def echo(body: Body) -> str:
    """Answer with what was asked, so that a mixed-up answer would show."""
    return question(body).splitlines()[0].removeprefix("what is ").removesuffix("?")


@pytest.fixture
def visit(empty_postgresql: str, tmp_path: Path, picture: bytes) -> Callable[..., subprocess.Popen[str]]:
    """Start a page and a visitor who asks there."""
    shown = tmp_path / "shown.png"
    shown.write_bytes(picture)
    shared = {
        settings.DATABASE: empty_postgresql,
        settings.IMAGES: str(tmp_path / "pictures"),
        settings.SESSIONS: Sessions.SEPARATE,
    }

    def start(model: str, name: str, *messages: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, VISITING, name, str(shown), *messages],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **shared, settings.MODEL: model},
        )

    return start


def outcome(page: subprocess.Popen[str]) -> Any:
    output, complaints = page.communicate(timeout=1500)
    assert page.returncode == 0, complaints
    return json.loads(output.splitlines()[-1])


def test_two_pages_lose_no_turn_and_mix_up_no_visitors(
    visit: Callable[..., subprocess.Popen[str]], empty_postgresql: str, tmp_path: Path
) -> None:
    with ModelServer(usually=says(echo)) as server:
        server.script.extend([fails(429, "busy", Retry_After="0")] * 3)
        pages = {name: visit(server.address, name, *ASKED) for name in ("ann", "ben")}
        found = {name: outcome(page) for name, page in pages.items()}
        anns_again = outcome(visit(server.address, "ann"))
    assert [it["shown"] for it in found.values()] == [[], []]
    assert anns_again["shown"] == [found["ann"]["session"]]
    with SessionStore.open(empty_postgresql, image_folder=tmp_path / "pictures") as store:
        assert len(store.list_sessions()) == 2
        for name, visited in found.items():
            turns = store.turns(visited["session"])
            assert store.get_session(visited["session"]).owner == f"user {name}"
            assert [turn.user for turn in turns] == ASKED
            assert [turn.answer for turn in turns] == [f"Number {number}." for number in range(3)]
            assert {turn.model for turn in turns} == {f"{server.address}#qwen3-vl-4b"}
        assert store.verify() == []
        assert store.usage().pictures == 1

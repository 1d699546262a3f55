"""Whatever is imported as a session, it comes out again as it went in, or is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.storage import CheckedBox, NewTurn, SessionStore, StoredStep, Verification
from assistant.storage.errors import ExchangeError
from assistant.vlm.grounding import Box, GroundedPhrase

from .documents import changed
from .lengths import fuzzed
from .mutations import damaged


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionStore]:
    with SessionStore.open(tmp_path_factory.mktemp("store") / "sessions.db") as store:
        yield store


@pytest.fixture(scope="module")
def exported(store: SessionStore) -> str:
    """A session with a picture and every field in use."""
    buffer = BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "PNG")
    checked = CheckedBox(12, 30, 35, 92, 0.83, Verification(False, "a tree"))
    phrase = GroundedPhrase("the man", (checked, Box(0, 0, 100, 100)), start=4)
    step = StoredStep("refer", "the man", Box(1, 1, 9, 9), "t", "{<12>}", (phrase,), 0.4, "nano")
    turn = NewTurn(
        user="Where is the man?",
        answer="Left.",
        image=store.add_image(buffer.getvalue()),
        region=Box(10, 20, 30, 40),
        steps=(step, StoredStep(None, error="the model gave up")),
        model="nano",
        seconds=0.45,
        why="because",
    )
    session_id = store.create_session("A walk").id
    store.append_turn(session_id, turn)
    store.append_turn(session_id, NewTurn("And?", "No."))
    store.set_feedback(session_id, 1, 1)
    return store.export_json(session_id)


def check(store: SessionStore, content: str | bytes) -> None:
    try:
        session = store.import_json(content)
    except ExchangeError as error:
        refusal = str(error)
        assert refusal.isprintable()
        assert len(refusal) < 1000
        return
    again = store.export_json(session.id)
    copy = store.import_json(again)
    assert store.export_json(copy.id).replace(copy.id, session.id) == again
    assert session.created <= datetime.max.replace(tzinfo=UTC)
    for imported in (session, copy):
        store.delete_session(imported.id)


@fuzzed
@given(st.data())
def test_sessions_with_other_values(store: SessionStore, exported: str, data: st.DataObject) -> None:
    check(store, data.draw(changed(json.loads(exported))))


@fuzzed
@given(st.data())
def test_damaged_sessions(store: SessionStore, exported: str, data: st.DataObject) -> None:
    check(store, data.draw(damaged(st.just(exported.encode()))))


@fuzzed
@given(st.one_of(st.text(), st.binary()))
def test_what_is_no_session(store: SessionStore, content: str | bytes) -> None:
    check(store, content)


def test_exports_are_kept_whole_through_all_of_it(store: SessionStore, exported: str) -> None:
    session_id = json.loads(exported)["session"]["id"]
    assert store.export_json(session_id) == exported
    assert Path(store.image_path(json.loads(exported)["images"][0]["sha256"])).is_file()
    assert store.verify() == []

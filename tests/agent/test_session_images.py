"""Session images in the tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.agent.session_images import SessionImages
from assistant.storage import SessionStore
from assistant.tools import ImageSource, VisionToolkit
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..tools.fakes import SAMPLES, FakeEngine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    with SessionStore.open(tmp_path / "sessions.db") as store:
        yield store


def test_a_tool_opens_a_sessions_picture_by_its_id(store: SessionStore, tmp_path: Path) -> None:
    kept = store.add_image(SAMPLES / "cat.jpg")
    source = SessionImages(store)
    assert isinstance(source, ImageSource)
    toolkit = VisionToolkit(
        model=VisionLanguageModel(FakeEngine()), folders=(tmp_path / "none",), sources=(source,)
    )
    caption = toolkit.get_tools()[0]
    call = {"type": "tool_call", "id": "1", "name": "caption", "args": {"image": kept.sha256}}
    message = caption.invoke(call)
    assert message.artifact["image"]["sha256"] == kept.sha256
    assert str(tmp_path) not in message.text


@pytest.mark.parametrize("reference", ["", "cat.jpg", "../sessions.db", "0" * 64, "0" * 63 + "/", "A" * 64])
def test_what_is_no_id_of_a_picture_is_nothing(store: SessionStore, reference: str) -> None:
    assert SessionImages(store).find(reference) is None


def test_a_picture_whose_file_is_gone_is_nothing(store: SessionStore) -> None:
    kept = store.add_image(SAMPLES / "cat.jpg")
    store.image_path(kept.sha256).unlink()
    assert SessionImages(store).find(kept.sha256) is None

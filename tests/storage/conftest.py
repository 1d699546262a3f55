"""Stores on every available database, with images and turns to fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from assistant.storage import CheckedBox, NewTurn, SessionStore, StoredImage, StoredStep, Verification
from assistant.vlm.grounding import Box, GroundedPhrase
from assistant.vlm.tasks import Task


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The path of the store's SQLite file."""
    return tmp_path / "data" / "assistant.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, database: Path) -> Iterator[SessionStore]:
    """An empty store, once on each kind of database."""
    location: str | Path = database
    if request.param == "postgresql":
        location = request.getfixturevalue("empty_postgresql")
    with SessionStore.open(location, image_folder=tmp_path / "pictures") as store:
        yield store


@pytest.fixture
def sqlite_store(database: Path) -> Iterator[SessionStore]:
    """An empty store in a SQLite file, with a short lock timeout."""
    with SessionStore.open(database, timeout=0.2) as store:
        yield store


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., bytes]:
    """Make the bytes of a single-colour image."""

    def make(
        colour: str = "red", size: tuple[int, int] = (64, 48), kind: str = "PNG", **options: object
    ) -> bytes:
        buffer = BytesIO()
        Image.new("RGB", size, colour).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def make_turn() -> Callable[..., NewTurn]:
    """Make a turn with two steps, three phrases and four boxes, using every field."""

    def make(
        user: str = "Where is the man?", answer: str = "On the left.", image: StoredImage | None = None
    ) -> NewTurn:
        checked = CheckedBox(12, 30, 35, 92, 0.83, Verification(False, "a tree"))
        man = GroundedPhrase("the man", (checked, Box(0, 0, 100, 100)), start=4)
        twins = (GroundedPhrase("", (Box(1, 2, 3, 4, 0.0),)), GroundedPhrase("", (Box(5, 6, 7, 8, 1.0),)))
        return NewTurn(
            user=user,
            answer=answer,
            image=image,
            region=Box(10, 20, 30, 40) if image else None,
            steps=(
                StoredStep(Task.REFER, "the man", Box(1, 1, 9, 9), "t", "{<12>}", (man,), 0.41, "nano"),
                StoredStep(None, phrases=twins, error="the model gave up"),
            ),
            model="nano",
            seconds=0.45,
            why="[refer], because of “where”",
            stopped=True,
        )

    return make

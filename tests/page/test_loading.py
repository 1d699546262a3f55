"""What the page says until an answer has its plan."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.storage import SessionStore
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.page import resources
from assistant.vlm.models.presets import NANO
from assistant.vlm.vision_language_model import VisionLanguageModel


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start and end with no model in memory."""
    monkeypatch.setattr(resources, "_loaded", None)
    resources._model.clear()
    yield
    resources._model.clear()


@pytest.fixture
def partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a build that another process has started, with one wheel done and half of the next."""
    monkeypatch.setenv("ASSISTANT_CACHE", str(tmp_path))
    folder = tmp_path / "partial-1"
    for path, size_mb in (
        (tmp_path / "wheels" / "one.whl", NANO.language_model.size_mb),
        (folder / NANO.vision_tower.package / "pip-1" / "two.whl", NANO.vision_tower.size_mb // 2),
    ):
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.truncate(size_mb * 10**6)
    return folder


def test_a_download_is_reported_in_megabytes(partial: Path) -> None:
    total = sum(part.size_mb for part in NANO.wheels)
    done = NANO.language_model.size_mb + NANO.vision_tower.size_mb // 2
    assert resources.loading_stage("nano") == f"Downloading the model, once: {done} of {total} MB …"
    with (partial / "leftover").open("wb") as file:  # of no wheel
        file.truncate(10**9)
    assert f"{done} of {total} MB" in resources.loading_stage("nano")


def test_the_conversion_follows_the_download(partial: Path) -> None:
    (partial / "unpacked").mkdir()
    assert resources.loading_stage("nano") == "Converting the model, once: about a minute …"


def test_a_cached_or_remote_model_is_only_loaded(tmp_path: Path, partial: Path) -> None:
    assert resources.loading_stage("http://127.0.0.1:8000") == "Getting the model ready …"
    partial.rename(tmp_path / "done")
    assert resources.loading_stage("nano") == "Getting the model ready …"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    """The model that any name loads."""
    model = VisionLanguageModel(ScriptedEngine())
    monkeypatch.setattr(resources, "load_model", lambda _: model)
    return model


@pytest.mark.usefixtures("model")
def test_with_the_model_in_memory_the_question_is_read(store: SessionStore) -> None:
    resources.assistant("nano", store)
    assert resources.loading_stage("nano") == "Reading the question …"
    assert resources.loading_stage("http://127.0.0.1:8000") == "Getting the model ready …"
    resources.assistant("http://127.0.0.1:8000", store)  # takes the place of the first
    assert resources.loading_stage("nano") == "Getting the model ready …"


def test_collecting_garbage_skips_the_model_in_memory(
    store: SessionStore, model: VisionLanguageModel
) -> None:
    """Streamlit collects after every run; with a model's objects this would take most of the time."""
    resources.assistant("another", store)
    assert not any(found is model for found in gc.get_objects())

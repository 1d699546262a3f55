"""Resources shared by all visitors: the store, the model in memory, and images encoded for the browser."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import streamlit as st
from PIL import Image, ImageOps

from assistant.agent.assistant import Assistant
from assistant.agent.nouns import is_plural
from assistant.agent.plan import MessagePlanner
from assistant.storage import SessionStore
from assistant.ui.loading import database_location, load_model, load_planner, open_store
from assistant.vlm.grounding import Box
from assistant.vlm.models.presets import PRESETS
from assistant.vlm.models.weights import build_progress
from assistant.vlm.pictures import open_picture
from assistant.vlm.vision_language_model import VisionLanguageModel

from . import settings, visitors
from .settings import Sessions

SAMPLES = Path(__file__).parents[1] / "samples"
# The largest canvas that browsers draw.
LARGEST_SIDE = 8192
# Twice the displayed sizes, for high-density screens.
_THUMBNAIL, _PART = (128, 96), (280, 280)


def everything() -> SessionStore:
    """Return the store without regard to visitors."""
    return _store(database_location(None))


def store() -> SessionStore:
    """Return the store as the running tab's visitor sees it."""
    if settings.sessions() is Sessions.SHARED:
        return everything()
    return store_of(owner())


def owner() -> str | None:
    """Return the owner of the running tab's sessions, None for the local user.

    Raises:
        NoVisitorError: the tab does not say whose it is.
    """
    return visitors.current(cookie()) if settings.sessions() is Sessions.SEPARATE else None


@st.cache_resource(max_entries=10_000, show_spinner=False)
def store_of(owner: str | None) -> SessionStore:
    """Return the store as one owner sees it."""
    return everything().for_owner(owner)


@st.cache_resource(show_spinner=False)
def cookie() -> visitors.Cookie:
    """Return the cookie of this server's visitors."""
    return visitors.Cookie(everything().secret())


@st.cache_resource(show_spinner=False)
def _store(location: str) -> SessionStore:
    return open_store(location)


def assistant(model: str, store: SessionStore) -> Assistant:
    """Return an assistant that saves in `store`, with a model, loading it if needed; thread-safe."""
    return Assistant(_model(model), store, _planner(settings.planner_name()))


@st.cache_resource(show_spinner=False)
def _planner(name: str | None) -> MessagePlanner | None:
    return load_planner(name)


# One model: spare memory is better spent on larger batches.
@st.cache_resource(max_entries=1, show_spinner=False)
def _model(name: str) -> VisionLanguageModel:
    global _loaded
    model = load_model(name)
    _loaded = name
    # Streamlit collects garbage after every run of a page. Without this it would go through all objects of
    # the model and the libraries each time, and every answer would wait.
    gc.freeze()
    return model


# The name of the model in memory.
_loaded: str | None = None


@st.cache_resource(show_spinner=False)
def warm_up(model: str) -> None:
    """Load a model once in the background, so that the first question does not wait for it."""

    def load() -> None:
        # The first question reports any error.
        with suppress(Exception):
            is_plural("dogs")  # loads the word lists
            _model(model)

    threading.Thread(target=load, daemon=True).start()


def loading_stage(model: str) -> str:
    """Return what an answer without a plan yet is waiting for."""
    if model == _loaded:
        return "Reading the question …"
    progress = build_progress(PRESETS[model]) if model in PRESETS else None
    if progress is None:
        return "Getting the model ready …"
    if progress.is_converting:
        return "Converting the model, once: about a minute …"
    return f"Downloading the model, once: {progress.downloaded_mb} of {progress.total_mb} MB …"


@lru_cache(maxsize=256)
def thumbnail(path: Path) -> bytes:
    """Return a thumbnail of an image as JPEG."""
    image = open_picture(path).image
    image.thumbnail((2 * _THUMBNAIL[0], 2 * _THUMBNAIL[1]))
    return jpeg(ImageOps.fit(image, _THUMBNAIL))


@lru_cache(maxsize=256)
def part(path: Path, region: Box) -> bytes:
    """Crop an image to a region, at least one pixel, and return a thumbnail of it as JPEG."""
    image = open_picture(path).image
    left, top, right, bottom = (int(value) for value in region.to_pixels(*image.size))
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    cropped = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    cropped.thumbnail(_PART)
    return jpeg(cropped)


@lru_cache(maxsize=4)
def whole(path: Path) -> bytes:
    """Return an image as JPEG at full size, capped at what browsers can draw."""
    image = open_picture(path).image
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return jpeg(image)


def jpeg(image: Image.Image) -> bytes:
    """Encode an image as JPEG."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()

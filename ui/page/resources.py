"""What every visitor shares: one store, one model in memory, and pictures made ready to be shown."""

from __future__ import annotations

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
from assistant.ui.commands.options import database_location, load_model, load_planner, open_store
from assistant.vlm.grounding import Box
from assistant.vlm.pictures import open_picture
from assistant.vlm.vision_language_model import VisionLanguageModel

from . import settings

SAMPLES = Path(__file__).parents[1] / "samples"
# Sharp on any screen; a 4096 pixel photo would take seconds to be drawn on and sent.
LONG_SIDE = 1600
# Browsers draw no more at once.
LARGEST_SIDE = 8192
# Twice as large as it is shown, for sharp screens.
_THUMBNAIL = (128, 96)


def store() -> SessionStore:
    """Return the store of sessions, open."""
    return _store(database_location(None))


@st.cache_resource(show_spinner=False)
def _store(location: str) -> SessionStore:
    return open_store(location)


def assistant(model: str) -> Assistant:
    """Return the assistant with a model, which is loaded if it is not in memory; for any thread."""
    return Assistant(_model(model), store(), _planner(settings.planner_name()))


@st.cache_resource(show_spinner=False)
def _planner(name: str | None) -> MessagePlanner | None:
    return load_planner(name)


# One model: a machine that has room for two is better served by larger batches.
@st.cache_resource(max_entries=1, show_spinner=False)
def _model(name: str) -> VisionLanguageModel:
    return load_model(name)


@st.cache_resource(show_spinner=False)
def warm_up(model: str) -> None:
    """Load a model in the background, once, so that the first question need not wait for it."""

    def load() -> None:
        # What goes wrong is told to the person who asks.
        with suppress(Exception):
            _model(model)
            is_plural("dogs")  # loads what words are counted with

    threading.Thread(target=load, daemon=True).start()


@st.cache_resource(max_entries=32, show_spinner=False)
def shown(path: Path) -> Image.Image:
    """Return a picture's file opened and reduced for the page; not to be changed."""
    image = open_picture(path).image
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    return image


@lru_cache(maxsize=256)
def thumbnail(path: Path) -> bytes:
    """Return a small version of a picture, as JPEG."""
    image = open_picture(path).image
    image.thumbnail((2 * _THUMBNAIL[0], 2 * _THUMBNAIL[1]))
    return jpeg(ImageOps.fit(image, _THUMBNAIL))


@st.cache_data(max_entries=256, show_spinner=False)
def part(path: Path, region: Box) -> bytes:
    """Return a region of a picture, as JPEG of at least one pixel."""
    image = shown(path)
    left, top, right, bottom = (int(value) for value in region.to_pixels(*image.size))
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    return jpeg(image.crop((left, top, max(right, left + 1), max(bottom, top + 1))))


@lru_cache(maxsize=4)
def whole(path: Path) -> bytes:
    """Return a picture as JPEG at full size, or as large as browsers can draw."""
    image = open_picture(path).image
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return jpeg(image)


def jpeg(image: Image.Image) -> bytes:
    """Return a picture's bytes for the browser."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


__all__ = ["LONG_SIDE", "SAMPLES", "assistant", "jpeg", "part", "shown", "store", "thumbnail", "whole"]
__all__ += ["warm_up"]

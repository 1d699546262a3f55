"""Open the session store, and load models and planners, for the command line and the page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands.output import note
from .commands.paths import named_path

if TYPE_CHECKING:
    from ..agent.plan import MessagePlanner
    from ..storage import SessionStore
    from ..vlm.vision_language_model import VisionLanguageModel


def database_location(option: str | None) -> str:
    """Return the database from the option, else the environment, else the user's data folder."""
    location = option or os.environ.get("ASSISTANT_DB")
    if location:
        return location
    import platformdirs

    return str(platformdirs.user_data_path("assistant") / "sessions.db")


def image_folder(option: Path | None) -> Path | None:
    """Return the folder of images from the option, else the environment; None for the database's own."""
    folder = option or os.environ.get("ASSISTANT_IMAGES")
    return named_path(str(folder)) if folder else None


def open_store(
    option: str | None, images: Path | None = None, *, make: bool = True, session: str | None = None
) -> SessionStore:
    """Open the session store.

    Create a missing database, unless `make` is False or a `session` in it is named.

    Raises:
        StorageError: it cannot be opened, or is missing and not created.
    """
    from ..storage import DatabaseMissingError, SessionNotFoundError, SessionStore

    location = database_location(option)
    place = location if "://" in location else named_path(location)
    try:
        return SessionStore.open(place, image_folder=image_folder(images), make=make and session is None)
    except DatabaseMissingError as error:
        if session is None:
            raise
        raise SessionNotFoundError(f"there is no session {session!r}: {error}") from error


def load_model(name: str, base: Path | None = None, **how: Any) -> VisionLanguageModel:
    """Load a model as `VisionLanguageModel.load` does, with the libraries' messages silenced."""
    if sys.stderr.isatty():
        note(f"Loading {name} …")
    from ..vlm.vision_language_model import VisionLanguageModel

    quieten_libraries()
    return VisionLanguageModel.load(name, base, **how)


def load_planner(name: str | None) -> MessagePlanner | None:
    """Return the chat model of that name as a planner; None for the built-in planner."""
    if name is None:
        return None
    from ..agent.tool_calling_planner import ToolCallingPlanner

    return ToolCallingPlanner.load(name)


def quieten_libraries() -> None:
    """Make transformers log errors only, and show no progress bars."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

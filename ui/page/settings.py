"""Settings that `assistant ui` passes to the page through environment variables, as it is another process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

from assistant.vlm.models.presets import DEFAULT_MODEL

MODEL = "ASSISTANT_MODEL"
DATABASE = "ASSISTANT_DB"
IMAGES = "ASSISTANT_IMAGES"
PLANNER = "ASSISTANT_PLANNER"
SESSIONS = "ASSISTANT_SESSIONS"
USER_HEADER = "ASSISTANT_USER_HEADER"
LINKS = "ASSISTANT_LINKS"
LIMITS = "ASSISTANT_LIMITS"
LOG = "ASSISTANT_LOG"
UPLOAD_MB = 30


class Sessions(StrEnum):
    """Whose sessions a visitor sees."""

    LOCAL = "local"
    """Those of the local user: the page serves one person."""
    SEPARATE = "separate"
    """Their own."""
    SHARED = "shared"
    """Everybody's."""


@dataclass(frozen=True)
class Limits:
    """How much one visitor may have: images, their size in MB, and waiting questions; 0 is no limit."""

    pictures: int = 500
    megabytes: int = 2000
    waiting: int = 20

    def __str__(self) -> str:
        return f"{self.pictures},{self.megabytes},{self.waiting}"


def model_name() -> str:
    """Return the name of the model."""
    return os.environ.get(MODEL) or DEFAULT_MODEL


def planner_name() -> str | None:
    """Return the chat model that plans, None for the built-in planner."""
    return os.environ.get(PLANNER) or None


def sessions() -> Sessions:
    """Return whose sessions a visitor sees."""
    return Sessions(os.environ.get(SESSIONS) or Sessions.LOCAL)


def user_header() -> str | None:
    """Return the header in which a proxy names the visitor, None if there is no such proxy."""
    return os.environ.get(USER_HEADER) or None


def has_links() -> bool:
    """Return whether sessions may be given read-only links."""
    return bool(os.environ.get(LINKS))


def limits() -> Limits | None:
    """Return the limits of each visitor, None if visitors share their sessions."""
    if sessions() is not Sessions.SEPARATE:
        return None
    given = os.environ.get(LIMITS)
    return Limits(*map(int, given.split(","))) if given else Limits()


def logs_json() -> bool:
    """Return whether the log is one JSON object a line."""
    return os.environ.get(LOG) == "json"

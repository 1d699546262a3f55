"""Settings that `assistant ui` passes to the page through environment variables, as it is another process."""

from __future__ import annotations

import os

MODEL = "ASSISTANT_MODEL"
DATABASE = "ASSISTANT_DB"
PLANNER = "ASSISTANT_PLANNER"
UPLOAD_MB = 30


def model_name(default: str) -> str:
    """Return the name of the model."""
    return os.environ.get(MODEL) or default


def planner_name() -> str | None:
    """Return the chat model that plans, None for the built-in planner."""
    return os.environ.get(PLANNER) or None


__all__ = ["DATABASE", "MODEL", "PLANNER", "UPLOAD_MB", "model_name", "planner_name"]

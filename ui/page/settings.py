"""What the command tells the page, through the environment: Streamlit is a program of its own."""

from __future__ import annotations

import os

MODEL = "ASSISTANT_MODEL"
DATABASE = "ASSISTANT_DB"
PLANNER = "ASSISTANT_PLANNER"
UPLOAD_MB = 30


def model_name(default: str) -> str:
    """Return the model that the page answers with."""
    return os.environ.get(MODEL) or default


def planner_name() -> str | None:
    """Return the chat model that plans, None for the planner of our own."""
    return os.environ.get(PLANNER) or None


__all__ = ["DATABASE", "MODEL", "PLANNER", "UPLOAD_MB", "model_name", "planner_name"]

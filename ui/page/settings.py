"""What the command tells the page, through the environment: Streamlit is a program of its own."""

from __future__ import annotations

import os

MODEL = "ASSISTANT_MODEL"
DATABASE = "ASSISTANT_DB"
UPLOAD_MB = 30


def model_name(default: str) -> str:
    """Return the model that the page answers with."""
    return os.environ.get(MODEL) or default


__all__ = ["DATABASE", "MODEL", "UPLOAD_MB", "model_name"]

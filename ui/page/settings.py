"""What the command tells the page, through the environment: Streamlit is a program of its own."""

from __future__ import annotations

import os

MODEL = "ASSISTANT_MODEL"
DATABASE = "ASSISTANT_DB"
UPLOAD_MB = 30
FILE_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "avif", "tif", "tiff", "bmp", "ppm"]


def model_name(default: str) -> str:
    """Return the model that the page answers with."""
    return os.environ.get(MODEL) or default


__all__ = ["DATABASE", "FILE_TYPES", "MODEL", "UPLOAD_MB", "model_name"]

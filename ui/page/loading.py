"""Report progress while the model is downloaded, converted and loaded."""

from __future__ import annotations

from assistant.vlm.presets import PRESETS
from assistant.vlm.weights import build_progress


def stage(model: str) -> str:
    """Return what the first answer is waiting for."""
    progress = build_progress(PRESETS[model]) if model in PRESETS else None
    if progress is None:
        return "Getting the model ready …"
    if progress.is_converting:
        return "Converting the model, once: about a minute …"
    return f"Downloading the model, once: {progress.downloaded_mb} of {progress.total_mb} MB …"

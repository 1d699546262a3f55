"""The settings of short training runs of the tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.training.config import TrainingConfig

from .tiny import dog_records, write_photo_folder


def short_run(folder: Path, photos: int = 3, **settings: Any) -> TrainingConfig:
    """Return the settings of a run on photos of dogs, both in a folder; by default of four steps."""
    usual: dict[str, Any] = {
        "steps": 4,
        "batch": 2,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
        "save_every": 2,
        "adapter": AdapterConfig(rank=2, alpha=4, dropout=0.1),
    }
    data = write_photo_folder(folder / "photos", dog_records(photos))
    return TrainingConfig(data=data, out=folder / "run", **(usual | settings))

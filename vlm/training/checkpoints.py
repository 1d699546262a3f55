"""Manage the folder of a run: its settings and checkpoints, complete or torn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..errors import AssistantError
from ..presets import PRESETS
from .config import FRESH, TrainingConfig

# Settings that may change when a run resumes: they do not affect the trained weights.
_FREE = {"out", "save_every", "sample_every", "log_every", "compile_layers", "feature_cache"}
_FREE |= {"gradient_checkpointing", "gradient_accumulation", "skip_broken"}


def last_whole_checkpoint(out: Path) -> Path | None:
    """Return the newest complete checkpoint: `trainer_state.json` is written last."""
    whole = [folder for folder in _checkpoints(out) if _is_whole(folder)]
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def remove_torn_checkpoints(out: Path) -> list[str]:
    """Remove incomplete checkpoints; return their names."""
    torn = [folder for folder in _checkpoints(out) if not _is_whole(folder)]
    for folder in torn:
        shutil.rmtree(folder)
    return sorted(folder.name for folder in torn)


def refuse_other_settings(config: TrainingConfig) -> None:
    """Refuse to resume a run that had other settings.

    Raises:
        AssistantError: there are checkpoints, and a setting differs (each is named with both values).
    """
    path = _settings_file(config.out)
    if last_whole_checkpoint(config.out) is None or not path.is_file():
        return
    # Settings that did not exist when the run began had their defaults.
    defaults = _settings(TrainingConfig(config.data, config.out))
    before, now = _flat(defaults | json.loads(path.read_text(encoding="utf-8"))), _flat(_settings(config))
    other = [
        f"{name} {json.dumps(before.get(name))} there, {json.dumps(now.get(name))} here"
        for name in sorted(before | now)
        if name not in _FREE and now.get(name) != before.get(name)
    ]
    if other:
        raise AssistantError(
            f"{config.out} holds a run with other settings ({'; '.join(other)}): choose another --out"
        )


def write_settings(config: TrainingConfig) -> None:
    """Write the settings of the run to `training.json`, atomically."""
    config.out.mkdir(parents=True, exist_ok=True)
    scratch = _settings_file(config.out).with_suffix(".part")
    scratch.write_text(json.dumps(_settings(config), indent=1) + "\n", encoding="utf-8")
    scratch.replace(_settings_file(config.out))


def _checkpoints(out: Path) -> list[Path]:
    return [folder for folder in out.glob("checkpoint-*") if folder.name.split("-")[1].isdigit()]


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # the process was killed, or the disk full
    return True


def _settings_file(out: Path) -> Path:
    return out / "training.json"


def _settings(config: TrainingConfig) -> dict[str, Any]:
    values: dict[str, Any] = TypeAdapter(TrainingConfig).dump_python(config, mode="json")
    for name in ("data", "init", "feature_cache"):
        value = getattr(config, name)
        values[name] = value and (str(value) if value in (*PRESETS, FRESH) else str(Path(value).resolve()))
    return values


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Flatten nested values to dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return found


__all__ = ["last_whole_checkpoint", "refuse_other_settings", "remove_torn_checkpoints", "step_of"]
__all__ += ["write_settings"]

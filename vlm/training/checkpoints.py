"""Manage the folder of a run: its settings and checkpoints, complete or torn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError

from ..atomic import write_text
from ..errors import AssistantError, one_line
from ..models.presets import PRESETS
from .config import FRESH, TrainingConfig
from .progress import LogLine

# Settings that may change when a run resumes: they do not affect the trained weights.
_FREE = {"out", "save_every", "sample_every", "log_every", "compile_layers", "feature_cache"}
_FREE |= {"gradient_checkpointing", "gradient_accumulation", "skip_broken"}
# Errors on a full disk: of Python, torch and safetensors.
_WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)


def last_whole_checkpoint(out: Path) -> Path | None:
    """Return the newest complete checkpoint: `trainer_state.json` is written last."""
    whole = [folder for folder in _checkpoints(out) if _is_whole(folder)]
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


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


def prepare_folder(config: TrainingConfig, log_line: LogLine) -> None:
    """Write the settings of the run to `training.json`, and remove incomplete checkpoints.

    Raises:
        AssistantError: the folder cannot be written.
    """
    with writing("settings", config.out):
        config.out.mkdir(parents=True, exist_ok=True)
        write_text(_settings_file(config.out), json.dumps(_settings(config), indent=1) + "\n")
        for torn in sorted(folder for folder in _checkpoints(config.out) if not _is_whole(folder)):
            shutil.rmtree(torn)
            log_line(f"removed {torn.name}: it is incomplete")


@contextmanager
def writing(what: str, out: Path) -> Iterator[None]:
    """Report a failed write in one line, with the step that the run resumes from.

    Raises:
        AssistantError: a write in the block failed.
    """
    try:
        yield
    except _WRITE_ERRORS as error:
        last = last_whole_checkpoint(out)
        outcome = f"resumes from step {step_of(last)}" if last else "starts again"
        reason = one_line(getattr(error, "strerror", None) or error)
        raise AssistantError(
            f"cannot write the {what} to {out}: {reason}; make room there, and the same command {outcome}"
        ) from error


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

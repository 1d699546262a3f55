"""The whole model that an adapter was trained for: the adapter names it, and knows its weights again.

Beside an adapter's weights lies `base.json`, with the base's name and a fingerprint of its weights. So a base
that was moved is found where somebody says it is, and another one is not taken for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from .errors import WeightsError, one_line
from .model_folder import read_adapter, read_settings
from .presets import PRESETS

BASE = "base.json"
ADAPTER = "adapter"
"""The folder within a converted model's that holds the released LoRA."""
# Weights differ all over: the ends of their files tell them apart, and reading 16 GB would take a minute.
_READ = 2**20


class Base(BaseModel):
    """`base.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str


def fingerprint(folder: Path) -> str:
    """Return a hash over the names, the sizes and both ends of a model's files of weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("model*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_READ))
            file.seek(max(size - _READ, 0))
            digest.update(file.read(_READ))
    return digest.hexdigest()


def own_adapter(folder: Path) -> Path | None:
    """Return the adapter that a converted model came with, if its LoRA was kept apart."""
    adapter = folder / ADAPTER
    return adapter if (adapter / BASE).is_file() else None


def note_base(adapter: Path, base: Path, name: str | None = None) -> None:
    """Write `base.json` to an adapter's folder."""
    values = Base(name=name or base.resolve().name, fingerprint=fingerprint(base))
    (adapter / BASE).write_text(json.dumps(values.model_dump(), indent=2) + "\n", encoding="utf-8")


def find_base(adapter: Path, given: Path | None = None) -> Path:
    """Return the folder of the whole model that an adapter was trained for.

    It is a preset's, the one `given`, one that the adapter names by its path, or the folder around it; where
    the adapter has a fingerprint, only one whose weights have it.

    Raises:
        WeightsError: there is no such folder, or the one `given` is another model's.
    """
    from .weights import base_model

    name = read_adapter(adapter).base_model_name_or_path
    if name in PRESETS and given is None:
        return base_model(PRESETS[name])
    noted = read_settings(adapter / BASE, Base) if (adapter / BASE).is_file() else None
    places = [given] if given else [Path(name), *([adapter.absolute().parent] if noted else [])]
    models = [folder for folder in places if _is_model(folder)]
    for folder in models:
        if noted is None or fingerprint(folder) == noted.fingerprint:
            return folder
    wanted = one_line(noted.name if noted else name)
    if models:
        raise WeightsError(
            f"{models[0]} is not the model {wanted!r} that {adapter} was trained for: its weights are "
            "others; name that one's folder (--base)"
        )
    if given is not None:
        raise WeightsError(f"{given} is no whole model's folder: name that of {wanted!r}")
    raise WeightsError(
        f"{adapter / 'adapter_config.json'}: base_model_name_or_path: the adapter is for {wanted!r}, which "
        f"is none of {', '.join(PRESETS)} and no model's folder here: name its folder (--base)"
    )


def _is_model(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file()
    except (OSError, ValueError):  # what cannot be a path is no folder
        return False


__all__ = ["ADAPTER", "BASE", "find_base", "fingerprint", "note_base", "own_adapter"]

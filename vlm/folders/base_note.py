"""The note next to an adapter's weights that names its base.

`base.json` has the base's name and a fingerprint of its weights, so that a base that was moved can be used
from its new folder, and another model cannot be mistaken for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

BASE = "base.json"
ADAPTER = "adapter"
"""The subfolder of a converted model with the released LoRA."""
# Different weights differ everywhere, so the ends of the files suffice; reading 16 GB would take a minute.
_READ = 2**20


class Base(BaseModel):
    """`base.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str


def fingerprint(folder: Path) -> str:
    """Return a hash of the names, sizes and both ends of a model's weight files."""
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
    """Return the adapter of a converted model, if its LoRA was not merged."""
    adapter = folder / ADAPTER
    return adapter if (adapter / BASE).is_file() else None


def note_base(adapter: Path, base: Path, name: str | None = None) -> None:
    """Write `base.json` to an adapter's folder."""
    values = Base(name=name or base.resolve().name, fingerprint=fingerprint(base))
    (adapter / BASE).write_text(json.dumps(values.model_dump(), indent=2) + "\n", encoding="utf-8")

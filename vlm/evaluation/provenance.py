"""Record the provenance of figures: date, code, machine and weights."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..models.presets import PRESETS

_REPOSITORY = Path(__file__).resolve().parents[2]
_CPU_INFO = Path("/proc/cpuinfo")


def provenance(model: str) -> dict[str, Any]:
    """Return the current provenance, for a model's name or folder."""
    return {
        "model": model,
        "weights_sha256": weights_hash(model),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def weights_hash(model: str) -> str | None:
    """Return the SHA-256 of the weights of an adapter or model; None if they are not local files."""
    folder = PRESETS[model].adapter if model in PRESETS else Path(model)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while part := content.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def _commit() -> str | None:
    """Return the repository's commit, marked if files differ from it; None without a repository."""
    if not (_REPOSITORY / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(_REPOSITORY), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit} with changes" if changes else commit


def _machine() -> str:
    import torch

    lines = _CPU_INFO.read_text(encoding="utf-8").splitlines() if _CPU_INFO.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    processor = next(names, "") or platform.processor() or platform.machine()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} x {processor}, {torch.get_num_threads()} threads, {gpu}"

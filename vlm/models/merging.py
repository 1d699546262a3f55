"""Merge an adapter into its base model and write one folder, as model servers expect."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..engine.local import LocalEngine
from ..engine.precision import fastest_precision
from ..errors import WeightsError
from ..folders.base_note import fingerprint
from ..folders.tensor_files import sha256_of
from ..folders.writing import SHARD, WrittenFolder
from .bases import parts_of
from .presets import PRESETS
from .weights import cache_folder

_WEIGHTS = "adapter_model.safetensors"


def merge_adapter(model: str, out: Path, base: Path | None = None) -> None:
    """Merge the adapter of a model, named as for `LocalEngine.load`, into the new folder `out`.

    The weights have the precision that the local engine uses on this machine.

    Raises:
        WeightsError: there is no such model, it has no adapter, `out` exists, or writing failed.
    """
    if out.exists():
        raise WeightsError(f"{out} exists: name a new folder")
    folder, adapter = parts_of(model, base)
    if adapter is None:
        raise WeightsError(f"{model} has no adapter to merge: it can be used as it is")
    engine = LocalEngine.load(model, base)
    sources = [adapter / _WEIGHTS, *sorted(folder.glob("model*.safetensors"))]
    with WrittenFolder(out, sources) as written:
        engine.model.save_pretrained(written.path, max_shard_size=SHARD)
        engine.processor.save_pretrained(written.path)
        written.describe({"model": model})


def whole_model(model: str, base: Path | None = None) -> Path:
    """Return a folder with the whole model; one with an adapter is merged once, into the cache.

    Raises:
        WeightsError: there is no such model, or merging failed.
    """
    folder, adapter = parts_of(model, base)
    if adapter is None:
        return folder
    weights = f"{fingerprint(folder)} {sha256_of(adapter / _WEIGHTS)} {fastest_precision()}"
    name = f"{model if model in PRESETS else adapter.resolve().parent.name}-"
    out = cache_folder() / "merged" / f"{name}{hashlib.sha256(weights.encode()).hexdigest()[:12]}"
    if not out.is_dir():
        merge_adapter(model, out, base)
    return out

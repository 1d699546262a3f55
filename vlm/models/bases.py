"""Find the base model of an adapter and verify its weights.

Next to an adapter's weights, `base.json` has the base's name and a fingerprint of its weights, so that a base
that was moved can be used from its new folder, and another model cannot be mistaken for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..errors import WeightsError, one_line
from ..folders.reading import read_adapter, read_settings
from .presets import PRESETS

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


def find_base(adapter: Path, given: Path | None = None) -> Path:
    """Return the folder of an adapter's base model.

    It is a preset's, the one `given`, the path that the adapter names, or the adapter's parent folder. If the
    adapter has a fingerprint, the weights must match it.

    Raises:
        WeightsError: there is no such folder, or the one `given` has another model.
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


def require_base(adapter: Path, base: Path) -> None:
    """Check that an adapter was trained for the base model in a folder.

    Raises:
        WeightsError: it was not, or there is no adapter.
    """
    from .weights import describe

    if not (adapter / "adapter_config.json").is_file():
        raise WeightsError(f"no adapter in {adapter}: name the folder of one, such as runs/mine/adapter")
    name = read_adapter(adapter).base_model_name_or_path
    if name not in PRESETS:
        find_base(adapter, base)
    elif describe(PRESETS[name]).folder != base:
        raise WeightsError(
            f"{adapter} is an adapter of {name}, not of {base}: name another, or --model {name}"
        )


def parts_of(model: str, base: Path | None = None) -> tuple[Path, Path | None]:
    """Return the folders of a model's base, fetched if it is missing, and of its adapter, None without one.

    `model` is a preset's name, or the folder of an adapter or of a whole model; `base` is as for `find_base`.

    Raises:
        WeightsError: there is no such model, or its base is missing.
    """
    from .weights import base_model

    folder = Path(model)
    if base is not None and not (folder / "adapter_config.json").is_file():
        raise WeightsError(f"{model} is not an adapter's folder: leave --base out")
    if model in PRESETS:
        adapter = PRESETS[model].adapter
        if not adapter.is_dir():
            raise WeightsError(f"{model} lacks its adapter: install assistant again, or name another model")
        return base_model(PRESETS[model]), adapter
    if (folder / "adapter_config.json").is_file():
        return find_base(folder, base), folder
    if (folder / "config.json").is_file():
        return folder, own_adapter(folder)
    raise WeightsError(
        f"no model {model!r}: name one of {', '.join(PRESETS)}, or a folder with an adapter or a model"
    )


def _is_model(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file()
    except (OSError, ValueError):  # not a valid path
        return False


__all__ = [
    "ADAPTER",
    "BASE",
    "find_base",
    "fingerprint",
    "note_base",
    "own_adapter",
    "parts_of",
    "require_base",
]

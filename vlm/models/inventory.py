"""The content of a model's or adapter's folder, from its settings and the headers of its weight files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from safetensors import safe_open

from ..engine.memory import QUANTIZED_BYTES, weight_bytes
from ..errors import WeightsError
from ..folders.base_note import ADAPTER, BASE, Base, own_adapter
from ..folders.reading import ModelFolder, read_adapter, read_model_folder, read_settings
from ..folders.settings import AdapterSettings
from ..folders.tensor_files import read_shapes
from ..folders.writing import PROVENANCE
from ..prompt_form import OURS
from .bases import find_base
from .presets import PRESETS
from .weights import describe

_MODEL, _ADAPTER = "config.json", "adapter_config.json"
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_WIDTHS = {"float32": 4, "float16": 2}


class _Provenance(BaseModel):
    """`provenance.json`."""

    sources: Mapping[str, str] = {}


@dataclass(frozen=True)
class Lora:
    """The size of an adapter, and the layers that it is on."""

    rank: int
    alpha: int
    all_linear: bool
    tower: bool


@dataclass(frozen=True)
class ModelInventory:
    """A whole model; `sources` are the SHA-256 of the files that it was made from.

    `memory_bytes` is the size of the weights by precision and quantization; answers need some more.
    """

    folder: Path
    language_model: str
    vision_tower: str
    image_size: int
    weights: int
    precisions: tuple[str, ...]
    prompt_form: str
    lora: Lora | None
    sources: Mapping[str, str]
    size_bytes: int
    memory_bytes: Mapping[str, int]


@dataclass(frozen=True)
class AdapterInventory:
    """An adapter, and its base: the name, a fingerprint of the weights, and the folder if it is here."""

    folder: Path
    base: str
    base_fingerprint: str | None
    base_folder: Path | None
    lora: Lora
    weights: int
    precisions: tuple[str, ...]
    calibrated: bool
    size_bytes: int


def inventory(folder: Path) -> ModelInventory | AdapterInventory:
    """Return what a folder holds, without reading its weights.

    Raises:
        WeightsError: it has neither a model nor an adapter, or a file in it is invalid.
    """
    if (folder / _ADAPTER).is_file():
        return _adapter(folder)
    if (folder / _MODEL).is_file():
        return _model(folder)
    raise WeightsError(f"{folder} has neither a model ({_MODEL}) nor an adapter ({_ADAPTER})")


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield the folders of models and adapters in a folder and below it, without a model's own adapter."""
    for path in sorted({*folder.rglob(_MODEL), *folder.rglob(_ADAPTER)}):
        part = path.parent.name == ADAPTER and (path.parent.parent / _MODEL).is_file()
        if not part and (path.name == _ADAPTER or '"minigpt_v2"' in path.read_text(errors="replace")):
            yield path.parent


def _model(folder: Path) -> ModelInventory:
    held = read_model_folder(folder)
    shapes, adapter = read_shapes(held.weights), own_adapter(folder)
    memory = {name: weight_bytes(shapes, width) for name, width in _WIDTHS.items()}
    memory |= {name: weight_bytes(shapes, 2, name) for name in QUANTIZED_BYTES}
    text, vision = held.config.text_config, held.config.vision_config
    return ModelInventory(
        folder=folder,
        language_model=f"{text.model_type}, {text.num_hidden_layers} layers, {text.hidden_size} wide",
        vision_tower=f"{vision.model_type}, {vision.num_hidden_layers} layers, {vision.hidden_size} wide",
        image_size=held.config.image_size,
        weights=sum(map(math.prod, shapes.values())),
        precisions=_precisions(held.weights),
        prompt_form=(held.processor.prompt_form or OURS).name,
        lora=None if adapter is None else _lora(read_adapter(adapter)),
        sources=_sources(held),
        size_bytes=_size(folder),
        memory_bytes=memory,
    )


def _adapter(folder: Path) -> AdapterInventory:
    settings, weights = read_adapter(folder), [folder / "adapter_model.safetensors"]
    noted = read_settings(folder / BASE, Base) if (folder / BASE).is_file() else None
    return AdapterInventory(
        folder=folder,
        base=noted.name if noted else settings.base_model_name_or_path,
        base_fingerprint=noted.fingerprint if noted else None,
        base_folder=_base_folder(folder, settings),
        lora=_lora(settings),
        weights=sum(map(math.prod, read_shapes(weights).values())),
        precisions=_precisions(weights),
        calibrated=(folder / "calibration.json").is_file(),
        size_bytes=_size(folder),
    )


def _base_folder(folder: Path, settings: AdapterSettings) -> Path | None:
    """Return the folder of an adapter's base if it is on this machine, without fetching it."""
    if settings.base_model_name_or_path in PRESETS:
        status = describe(PRESETS[settings.base_model_name_or_path])
        return status.folder if status.present else None
    try:
        return find_base(folder)
    except WeightsError:
        return None


def _lora(settings: AdapterSettings) -> Lora:
    return Lora(settings.r, settings.lora_alpha, settings.all_linear, settings.tower)


def _sources(held: ModelFolder) -> dict[str, str]:
    path = held.path / PROVENANCE
    return dict(read_settings(path, _Provenance).sources) if path.is_file() else {}


def _precisions(files: Sequence[Path]) -> tuple[str, ...]:
    found = set()
    for path in files:
        with safe_open(path, "pt") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return tuple(sorted(_NAMES[name] for name in found))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

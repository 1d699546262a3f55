"""Export a trained adapter as a checkpoint of the reference, which `convert_released` reads too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing
from ..errors import WeightsError, one_line
from ..folders.base_note import ADAPTER
from ..folders.reading import read_adapter
from ..folders.tensor_files import TensorFile
from ..folders.writing import require_room
from .eva import State

_LORA = re.compile(r"base_model\.model\.language_model\.(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
_LINEAR = "base_model.model.vision_projection."
_LAYER_NORM = "vision_tower.post_layernorm."


def export_checkpoint(folder: Path, out: Path) -> None:
    """Write an adapter, or a converted folder's, to a new `.pth` file in float32.

    LoRA has the names of peft 0.2.0, which the reference requires. The file also holds rank and alpha, the
    image size of a converted folder, and the LayerNorm after the tower unless it is the identity.

    Raises:
        WeightsError: there is no adapter, its LoRA lies on more than queries and values, or writing failed.
    """
    if out.exists():
        raise WeightsError(f"{out} is already there: name a new file")
    whole = (folder / "config.json").is_file()
    adapter = folder / ADAPTER if whole else folder
    if not (adapter / "adapter_config.json").is_file():
        merged = ": it was merged, or never trained" if whole else ""
        raise WeightsError(f"{folder} has no LoRA of its own to export{merged}; name an adapter's folder")
    settings = read_adapter(adapter)
    if settings.all_linear:
        raise WeightsError(
            f"{adapter} has LoRA on all linear layers, the reference on queries and values alone: train "
            "one with all_linear = false"
        )
    state = _by_their_names(TensorFile(adapter / "adapter_model.safetensors"))
    model: dict[str, Any] = {"arch": "minigpt_v2", "lora_r": settings.r, "lora_alpha": settings.lora_alpha}
    if whole:
        model["image_size"] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["image_size"]
        state |= _layer_norm(folder)
    _save({"model": state, "config": {"model": model}}, out)


def _by_their_names(file: TensorFile) -> State:
    state: State = {}
    for name in file:
        if match := _LORA.fullmatch(name):
            new = f"llama_model.base_model.model.{match['layer']}.lora_{match['part']}.weight"
        elif name.startswith(_LINEAR):
            new = f"llama_proj.{name.removeprefix(_LINEAR)}"
        else:
            raise WeightsError(f"{file.path}: the reference has no place for {one_line(name)}")
        state[new] = file[name].float()
    return state


def _layer_norm(folder: Path) -> State:
    for path in sorted(folder.glob("model*.safetensors")):
        file = TensorFile(path)
        if f"{_LAYER_NORM}weight" in file and f"{_LAYER_NORM}bias" in file:
            weight, bias = (file[f"{_LAYER_NORM}{part}"].float() for part in ("weight", "bias"))
            if (weight != 1).any() or (bias != 0).any():
                return {"ln_vision.weight": weight, "ln_vision.bias": bias}
    return {}


def _save(content: dict[str, Any], out: Path) -> None:
    try:
        require_room(out, sum(tensor.nbytes for tensor in content["model"].values()))
        with replacing(out) as scratch:
            torch.save(content, scratch)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"cannot write {out}: {one_line(error)}") from error

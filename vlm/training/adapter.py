"""What is trained and shipped: one PEFT adapter that holds LoRA and the linear layer."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import WeightsError
from ..modeling import MiniGPTv2ForConditionalGeneration

# Only the language model gets LoRA; the tower's layers may have the same names.
_LINEAR_LAYERS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
_QUERY_VALUE = r".*language_model\..*\.(q_proj|v_proj)"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class AdapterConfig:
    """LoRA's rank, alpha and dropout; all linear layers of the language model, or q and v as in the paper."""

    rank: Annotated[int, Field(gt=0)] = 16
    alpha: Annotated[int, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    all_linear: bool = True

    def lora(self) -> LoraConfig:
        """Return PEFT's form of it; the linear layer is trained whole."""
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=_LINEAR_LAYERS if self.all_linear else _QUERY_VALUE,
            modules_to_save=["vision_projection"],
        )

    def fits(self, lora: LoraConfig) -> bool:
        """Whether LoRA of another run has this rank, alpha and places; dropout leaves no trace in weights."""
        mine = self.lora()
        return all(
            getattr(mine, name) == getattr(lora, name) for name in ("r", "lora_alpha", "target_modules")
        )


def add_adapter(model: MiniGPTv2ForConditionalGeneration, config: AdapterConfig) -> PeftModel:
    """Return the model with a fresh adapter: all else is frozen."""
    return _in_full_precision(get_peft_model(model, config.lora()))


def load_adapter(
    model: MiniGPTv2ForConditionalGeneration,
    folder: Path,
    *,
    trainable: bool = False,
    shape: AdapterConfig | None = None,
) -> PeftModel:
    """Return the model with a trained adapter, to be trained on with the dropout of `shape`.

    Raises:
        WeightsError: there is no adapter in the folder, its weights are not exactly those of the model, or
            it is of another shape.
    """
    if not (folder / "adapter_config.json").is_file():
        raise WeightsError(f"no adapter in {folder}: train one with `assistant train`, or name another model")
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = not trainable
    if shape is not None:
        if not shape.fits(config):
            places = "all linear layers" if config.target_modules == _LINEAR_LAYERS else "queries and values"
            raise WeightsError(
                f"{folder} has LoRA of rank {config.r} and alpha {config.lora_alpha} on {places}, "
                "the settings want another: leave their [adapter] out, or --init"
            )
        config.lora_dropout = shape.dropout
    # The name is checked by who chose the base; here it would only be said to differ from the base's folder.
    config.base_model_name_or_path = model.name_or_path
    adapted = get_peft_model(model, config)
    path = folder / "adapter_model.safetensors"
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; copy the adapter again") from error
    wanted = set(get_peft_model_state_dict(adapted))
    if wanted != set(state):
        missing, unexpected = sorted(wanted - set(state)), sorted(set(state) - wanted)
        raise WeightsError(
            f"{folder} is not an adapter of this model: {len(missing)} weights missing {missing[:2]}, "
            f"{len(unexpected)} unexpected {unexpected[:2]}"
        )
    try:
        set_peft_model_state_dict(adapted, state)
    except RuntimeError as error:
        raise WeightsError(f"{path} is for a model of another size: copy the adapter again") from error
    return _in_full_precision(adapted) if trainable else adapted


def _in_full_precision(model: PeftModel) -> PeftModel:
    """Keep what is trained in float32: in bfloat16 a step is often too small to change a weight at all.

    PEFT does so for LoRA, yet leaves a layer that is trained whole in the precision of the model.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, LoraLayer):
            # Autocast casts weights to the inputs; PEFT would widen each layer's input only for it to be
            # narrowed again.
            module.cast_input_dtype_enabled = False
    return model


def save_adapter(
    model: PeftModel, folder: Path, base_name: str, state: dict[str, torch.Tensor] | None = None
) -> None:
    """Write the adapter in bfloat16, small enough to ship, with the name of the model it belongs to.

    `state` holds the model's trained weights where the model itself has but a share of them. What was in
    the folder is replaced once all is written.
    """
    model.peft_config["default"].base_model_name_or_path = base_name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        written = Path(scratch) / folder.name
        model.save_pretrained(str(written), save_embedding_layers=False, state_dict=state)
        (written / "README.md").unlink()  # PEFT leaves a card to be filled in by hand
        path = written / "adapter_model.safetensors"
        weights = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})
        shutil.rmtree(folder, ignore_errors=True)
        written.rename(folder)


__all__ = ["AdapterConfig", "add_adapter", "load_adapter", "save_adapter"]

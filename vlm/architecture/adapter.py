"""Create, load and save the PEFT adapter that holds LoRA and the linear layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from ..atomic import replacing
from ..errors import WeightsError, one_line
from ..folders.base_note import note_base, own_adapter
from ..folders.reading import read_adapter
from ..folders.settings import (
    LINEAR_LAYERS,
    LINEAR_LAYERS_AND_TOWER,
    QUERY_VALUE,
    AdapterSettings,
    Alpha,
    Dropout,
    Rank,
)
from ..folders.tensor_files import Tensors, read_shapes, read_tensors


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class AdapterConfig:
    """LoRA's settings; on all linear layers of the language model, or on q and v as in the paper.

    With `tower` it is also on queries, values and MLP of the vision tower, which the paper keeps frozen.
    """

    rank: Rank = 16
    alpha: Alpha = 32
    dropout: Dropout = 0.0
    all_linear: bool = True
    tower: bool = False

    def __post_init__(self) -> None:
        """Refuse a combination that no pattern describes."""
        if self.tower and not self.all_linear:
            raise ValueError("tower = true needs all_linear = true")

    @property
    def places(self) -> str:
        """The layers with LoRA, as a PEFT pattern."""
        if self.tower:
            return LINEAR_LAYERS_AND_TOWER
        return LINEAR_LAYERS if self.all_linear else QUERY_VALUE

    def lora(self) -> LoraConfig:
        """Return PEFT's configuration, which also trains the linear layer in full."""
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.places,
            modules_to_save=["vision_projection"],
        )

    @classmethod
    def of(cls, settings: AdapterSettings) -> AdapterConfig:
        """Return the configuration of an adapter's validated settings."""
        return cls(
            rank=settings.r,
            alpha=settings.lora_alpha,
            dropout=settings.lora_dropout,
            all_linear=settings.all_linear,
            tower=settings.tower,
        )

    def fits(self, other: AdapterConfig) -> bool:
        """Return whether another configuration has the same weights; dropout does not affect them."""
        return replace(self, dropout=other.dropout) == other


def add_adapter(model: PreTrainedModel, config: AdapterConfig) -> PeftModel:
    """Return the model with a new adapter and everything else frozen."""
    return _in_full_precision(get_peft_model(model, config.lora()))


def load_adapter(
    model: PreTrainedModel | PeftModel,
    folder: Path,
    *,
    trainable: bool = False,
    shape: AdapterConfig | None = None,
    name: str = "default",
) -> PeftModel:
    """Return the model with a trained adapter; further training uses the dropout of `shape`.

    A model that has adapters gets one more, of another `name`.

    Raises:
        WeightsError: the folder holds no adapter, its weights do not fit the model, or its shape is not
            `shape`.
    """
    if not (folder / "adapter_config.json").is_file():
        raise WeightsError(f"no adapter in {folder}: train one with `assistant train`, or name another model")
    config = AdapterConfig.of(read_adapter(folder))
    if shape is not None:
        if not shape.fits(config):
            places = "all linear layers" if config.all_linear else "queries and values"
            places += " and on the vision tower" if config.tower else ""
            raise WeightsError(
                f"{folder} has LoRA of rank {config.rank} and alpha {config.alpha} on {places}, "
                "unlike the settings: leave their [adapter] out, or --init"
            )
        config = replace(config, dropout=shape.dropout)
    path = folder / "adapter_model.safetensors"
    state = _read_weights(path, config.rank)
    lora = config.lora()
    lora.inference_mode = not trainable
    # The caller has checked the base; PEFT would only warn that the base's folder has another name.
    lora.base_model_name_or_path = model.name_or_path
    if isinstance(model, PeftModel):
        model.add_adapter(name, lora)
        adapted = model
    else:
        adapted = get_peft_model(model, lora, name)
    wanted = set(get_peft_model_state_dict(adapted, adapter_name=name, save_embedding_layers=False))
    if wanted != set(state):
        missing, unexpected = sorted(wanted - set(state)), sorted(set(state) - wanted)
        raise WeightsError(
            f"{folder} is not an adapter of this model: {len(missing)} weights missing {missing[:2]}, "
            f"{len(unexpected)} unexpected {unexpected[:2]}"
        )
    try:
        set_peft_model_state_dict(adapted, state, name)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit the size of the model: copy the adapter again") from error
    return _in_full_precision(adapted) if trainable else adapted


def with_own_adapter(model: PreTrainedModel, folder: str | Path | None) -> PreTrainedModel:
    """Return the model with the LoRA of its converted folder, if that was not merged before."""
    adapter = None if folder is None else own_adapter(Path(folder))
    return model if adapter is None else load_adapter(model, adapter).merge_and_unload()


def _read_weights(path: Path, rank: int) -> Tensors:
    """Read and check an adapter's weights; PEFT would first allocate memory for the rank in the settings."""
    for name, shape in read_shapes([path]).items():
        ranks = shape[:1] if "lora_A" in name else shape[1:2] if "lora_B" in name else (rank,)
        if ranks != (rank,):
            raise WeightsError(
                f"{path.with_name('adapter_config.json')}: r is {rank}, but {one_line(name)} is {shape}; "
                "copy the folder again"
            )
    state = read_tensors([path])
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{path}: {one_line(name)} is not finite; take another adapter")
    return state


def _in_full_precision(model: PeftModel) -> PeftModel:
    """Keep trained weights in float32: in bfloat16 an update is often too small to change a weight.

    PEFT does so for LoRA, but not for layers that are trained in full.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, LoraLayer):
            # Autocast casts the weights to the input; PEFT would cast the input up, and autocast down again.
            module.cast_input_dtype_enabled = False
    return model


def save_adapter(
    model: PeftModel, folder: Path, base_name: str, state: dict[str, torch.Tensor] | None = None
) -> None:
    """Write the adapter with the name of its base model.

    A preset's adapter is written in bfloat16, that of a model's folder in float32, like the released LoRA.
    `state` holds all trained weights if the model itself has only a shard of them. The folder is replaced
    only when the new adapter is complete.
    """
    model.peft_config["default"].base_model_name_or_path = base_name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as written:
        model.save_pretrained(str(written), save_embedding_layers=False, state_dict=state)
        (written / "README.md").unlink()  # PEFT's template of a model card
        path = written / "adapter_model.safetensors"
        has_folder = (Path(base_name) / "config.json").is_file()
        dtype = torch.float32 if has_folder else torch.bfloat16
        weights = {name: tensor.to(dtype).contiguous() for name, tensor in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})
        if has_folder:
            note_base(written, Path(base_name))

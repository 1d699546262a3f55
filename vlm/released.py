"""The released MiniGPT-v2 files into one folder of ours.

They are three: a LLaMA-2 directory in the form of transformers, `eva_vit_g.pth`, and a checkpoint with the
linear layer and LoRA on the attention's queries and values, under the names of peft 0.2.0 or later ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import Blip2VisionConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .configuration import MiniGPTv2Config
from .conversion import require_all_keys
from .errors import WeightsError
from .eva import State, convert_eva_vit, convert_projection, eva_vit_config, read_torch
from .modeling import MiniGPTv2ForConditionalGeneration
from .processing import MiniGPTv2ImageProcessor, MiniGPTv2Processor

# The release scales what LoRA adds by 16 / 64, where 64 is its rank.
LORA_ALPHA = 16
LORA_LAYERS = ("q_proj", "v_proj")

_LORA = re.compile(
    r"llama_model\.base_model\.model\.(?P<layer>model\.layers\.\d+\..+)\.lora_(?P<part>[AB])(?:\.default)?\.weight"
)
# The reference's saver keeps buffers, which hold nothing learnt.
_BUFFER = re.compile(r".*\.rotary_emb\.inv_freq")


def convert_released(
    llama: Path,
    eva_vit: Path,
    checkpoint: Path,
    folder: Path,
    vision_config: Blip2VisionConfig | None = None,
) -> None:
    """Write a MiniGPT-v2 folder in bfloat16 with LoRA merged in; it must not be there yet.

    `vision_config` is the released tower's unless told otherwise. The whole is held in memory, about 16 GB.

    Raises:
        WeightsError: a file cannot be read, lacks a weight, or holds one that has no place.
    """
    if folder.exists():
        raise WeightsError(f"{folder} is already there: name a new folder")
    vision_config = vision_config or eva_vit_config()
    language_model = _read_llama(llama)
    tokenizer = _read_tokenizer(llama)
    lora, projection = split_checkpoint(read_torch(checkpoint))
    linear, layer_norm = convert_projection(projection)
    tower = convert_eva_vit(read_torch(eva_vit), vision_config) | layer_norm
    merge_lora(language_model, lora)
    config = MiniGPTv2Config(
        vision_config=vision_config,
        text_config=language_model.config,
        image_size=vision_config.image_size,
    )
    model, report = MiniGPTv2ForConditionalGeneration.from_pretrained(
        None,
        config=config,
        state_dict=_prefixed("language_model.", language_model.state_dict())
        | _prefixed("vision_tower.", tower)
        | _prefixed("vision_projection.", linear),
        dtype=torch.bfloat16,
        output_loading_info=True,
        trust_remote_code=False,
    )
    require_all_keys(report, checkpoint)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, getattr(tokenizer, name))
    size = {"height": config.image_size, "width": config.image_size}
    processor = MiniGPTv2Processor(
        MiniGPTv2ImageProcessor(size=size), tokenizer, config.image_tokens, config.image_token_id
    )
    _save(model, processor, folder)


def split_checkpoint(state: Mapping[str, torch.Tensor]) -> tuple[dict[str, dict[str, torch.Tensor]], State]:
    """Return a checkpoint's LoRA, `{layer: {"A": (rank, in), "B": (out, rank)}}`, and the rest of it."""
    lora: dict[str, dict[str, torch.Tensor]] = {}
    rest: State = {}
    for name, tensor in state.items():
        if match := _LORA.fullmatch(name):
            lora.setdefault(match["layer"], {})[match["part"]] = tensor.float()
        elif not _BUFFER.fullmatch(name):
            rest[name] = tensor
    return lora, rest


def merge_lora(language_model: LlamaForCausalLM, lora: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    """Add LoRA to the weights that it belongs to.

    Raises:
        WeightsError: a layer goes without, a half of a pair is missing, one has no place, or a shape differs.
    """
    count = language_model.config.num_hidden_layers
    wanted = {f"model.layers.{index}.self_attn.{name}" for index in range(count) for name in LORA_LAYERS}
    halves = {layer for layer, parts in lora.items() if parts.keys() != {"A", "B"}}
    if wrong := sorted((wanted ^ lora.keys()) | halves):
        raise WeightsError(
            f"not LoRA for this LLaMA of {count} layers: missing, half there or unknown: {wrong[:3]}"
        )
    for layer, parts in lora.items():
        try:
            weight = language_model.get_submodule(layer).weight.data
            added = parts["B"] @ parts["A"] * (LORA_ALPHA / len(parts["A"]))
            weight.copy_(weight.float() + added)
        except (AttributeError, RuntimeError) as error:
            raise WeightsError(f"the LoRA of {layer} does not fit this LLaMA: {error}") from error


def _read_llama(folder: Path) -> LlamaForCausalLM:
    try:
        model, report = LlamaForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            output_loading_info=True,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{folder} is no LLaMA-2 directory that can be read: {reason}") from error
    unknown = {name for name in report["unexpected_keys"] if not _BUFFER.fullmatch(name)}
    require_all_keys({**report, "unexpected_keys": unknown}, folder)
    return model


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read the tokenizer as it is in its file: by the directory's own settings each text would begin anew."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(f"there is no {path}: take the LLaMA-2 directory in the form of transformers")
    return PreTrainedTokenizerFast(
        tokenizer_file=str(path), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _save(model: MiniGPTv2ForConditionalGeneration, processor: MiniGPTv2Processor, folder: Path) -> None:
    """Write everything, or nothing under that name."""
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {partial}: {error}; make room, then delete it") from error


__all__ = ["LORA_ALPHA", "convert_released", "merge_lora", "split_checkpoint"]

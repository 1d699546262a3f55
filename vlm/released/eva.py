"""Convert the reference's vision weights: EVA ViT-g/14 (`eva_vit_g.pth`) and the linear layer.

Key names and numbers are those of the released MiniGPT-v2 files. A missing or unknown key is
an error, except for weights that the reference does not use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from transformers import Blip2VisionConfig

from ..errors import WeightsError, one_line
from ..folders.tensor_files import TensorFile

State = dict[str, torch.Tensor]

# EVA's MLP is that much wider than the rest, rounded down.
MLP_RATIO = 4.3637
HEAD_WIDTH = 88
LAYERS = 39

_EMBEDDINGS = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
}
_BLOCK = {
    "norm1": "layer_norm1",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_PROJECTION = ("llama_proj.weight", "llama_proj.bias")
_LAYER_NORM = ("ln_vision.weight", "ln_vision.bias")


def eva_vit_config(
    image_size: int = 448, hidden_size: int = 1408, layers: int = LAYERS, heads: int = 16
) -> Blip2VisionConfig:
    """Return the configuration of the reference's tower, by default of the released one."""
    return Blip2VisionConfig(
        hidden_size=hidden_size,
        intermediate_size=int(hidden_size * MLP_RATIO),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=image_size,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
        qkv_bias=True,
    )


def find_eva_config(
    file: TensorFile, image_size: int, heads: int | None = None, layers: int | None = None
) -> Blip2VisionConfig:
    """Return the configuration of the tower in a file like `eva_vit_g.pth`, with the sizes found in it.

    Two numbers are not in the weights and default to the released tower's: `heads` of its width, and the
    number of `layers` used, all in the file but at most 39 (the official file has one more).

    Raises:
        WeightsError: it is not such a file, has fewer layers, or its width is no multiple of the heads.
    """
    if "llama_proj.weight" in file:
        raise WeightsError(f"{file.path} is a checkpoint of MiniGPT, not eva_vit_g.pth: are the two swapped?")
    for name, sides in (("cls_token", 3), ("patch_embed.proj.weight", 4), ("blocks.0.mlp.fc1.weight", 2)):
        if name not in file:
            raise WeightsError(f"{file.path} is no EVA ViT: it has no {name}")
        if len(file.shape(name)) != sides or 0 in file.shape(name):
            raise WeightsError(
                f"{file.path}: {name} is {file.shape(name)}: it must have {sides} sides, none 0"
            )
    width = file.shape("cls_token")[-1]
    if heads is None and width % HEAD_WIDTH:
        raise WeightsError(
            f"{file.path}: a width of {width} does not divide into heads of {HEAD_WIDTH}: name --heads"
        )
    heads = heads or width // HEAD_WIDTH
    if width % heads:
        raise WeightsError(f"{file.path}: a width of {width} does not divide into {heads} heads")
    blocks = {match[1] for name in file if (match := re.match(r"blocks\.(\d+)\.", name))}
    if layers is not None and layers > len(blocks):
        raise WeightsError(f"{file.path} has {len(blocks)} layers, not {layers}")
    config = eva_vit_config(image_size, width, layers or min(len(blocks), LAYERS), heads)
    config.intermediate_size = file.shape("blocks.0.mlp.fc1.weight")[0]
    config.patch_size = file.shape("patch_embed.proj.weight")[-1]
    return config


def convert_eva_vit(state: Mapping[str, torch.Tensor], config: Blip2VisionConfig) -> State:
    """Return the weights of a `Blip2VisionModel` from those of an `eva_vit_g.pth`, in their own precision.

    The LayerNorm after the tower (`ln_vision`) is not in these files: the released model has weight 1 and
    bias 0 there, never BLIP-2's. Everything after the last block used (in the official file a 40th block,
    a norm and a head) is dropped, as in the reference.

    Raises:
        WeightsError: a key is missing or unknown, or has an impossible shape.
    """
    names = [name for name in state if not _is_behind(name, config.num_hidden_layers)]
    require_keys(names, _eva_keys(config.num_hidden_layers), "the EVA ViT")
    kept = {name: state[name] for name in names}
    converted = {ours: kept[theirs] for theirs, ours in _EMBEDDINGS.items()}
    side: int = config.image_size // config.patch_size
    position = "embeddings.position_embedding"
    converted[position] = interpolate_positions(converted[position], side)
    for block in range(config.num_hidden_layers):
        converted |= _convert_block(kept, f"blocks.{block}.", f"encoder.layers.{block}.")
    converted["post_layernorm.weight"] = torch.ones(config.hidden_size)
    converted["post_layernorm.bias"] = torch.zeros(config.hidden_size)
    return converted


def _is_behind(name: str, layers: int) -> bool:
    """Return whether a weight lies behind the last block used."""
    match = re.match(r"(?:blocks\.(?P<block>\d+)|norm|head)\.", name)
    return match is not None and (match["block"] is None or int(match["block"]) >= layers)


def convert_projection(state: Mapping[str, torch.Tensor]) -> tuple[State, State]:
    """Return the weights of the linear layer, and of the LayerNorm `ln_vision` if the file has it.

    Raises:
        WeightsError: a key is missing or unknown.
    """
    layer_norm = _LAYER_NORM if any(name in state for name in _LAYER_NORM) else ()
    require_keys(state.keys(), (*_PROJECTION, *layer_norm), "the linear layer")
    linear = {name.removeprefix("llama_proj."): state[name].float() for name in _PROJECTION}
    return linear, {name.replace("ln_vision", "post_layernorm"): state[name].float() for name in layer_norm}


def interpolate_positions(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Resize a position embedding (1, 1 + patches, width) to `side` x `side` patches; keep the class token's.

    Bicubic without antialiasing, even when shrinking; a grid of the right size stays as it is.

    Raises:
        WeightsError: the embedding is not of a square of patches.
    """
    patches = positions.shape[1] - 1 if positions.ndim == 3 and len(positions) == 1 else 0
    own_side = math.isqrt(patches)
    if not patches or own_side**2 != patches:
        raise WeightsError(f"pos_embed is {tuple(positions.shape)}: it must be (1, 1 + patches, width)")
    if own_side == side:
        return positions
    grid = positions[:, 1:].float().reshape(1, own_side, own_side, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1].float(), grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def require_keys(found: Iterable[str], wanted: Iterable[str], what: str) -> None:
    """Check that the keys found are exactly those wanted.

    Raises:
        WeightsError: they are not; the message names the first differences.
    """
    missing, unknown = sorted({*wanted} - {*found}), sorted({*found} - {*wanted})
    if missing or unknown:
        raise WeightsError(f"not the weights of {what}: missing {_few(missing)}, unknown {_few(unknown)}")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return one_line(f"{names[:3]}{more}")


def _eva_keys(layers: int) -> set[str]:
    block = {f"{name}.{part}" for name in _BLOCK for part in ("weight", "bias")}
    block = block - {"attn.qkv.bias"} | {"attn.q_bias", "attn.v_bias"}
    return set(_EMBEDDINGS) | {f"blocks.{index}.{name}" for index in range(layers) for name in block}


def _convert_block(state: State, theirs: str, ours: str) -> State:
    query, value = state[f"{theirs}attn.q_bias"], state[f"{theirs}attn.v_bias"]
    if query.ndim != 1 or value.ndim != 1:
        raise WeightsError(
            f"{theirs}attn.q_bias and v_bias are {tuple(query.shape)} and {tuple(value.shape)}: each must "
            "have one side"
        )
    # Keys have no bias.
    biases = {f"{theirs}attn.qkv.bias": torch.cat([query, torch.zeros_like(value), value])}
    return {
        f"{ours}{new}.{part}": (state | biases)[f"{theirs}{old}.{part}"]
        for old, new in _BLOCK.items()
        for part in ("weight", "bias")
    }

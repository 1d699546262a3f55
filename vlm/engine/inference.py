"""Prepare a model for inference: the same computation, laid out for the machine's kernels.

A prepared model cannot be trained or saved.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

_GROUPED = "grouped_sdpa"
_REUSING = "reusing_attention"
_memory = threading.local()


def prepare(model: Any) -> None:
    """Prepare a module whose `language_model` is a transformers model."""
    if model.language_model.config._attn_implementation == "sdpa":
        model.language_model.set_attn_implementation(_GROUPED)
    tower = getattr(model, "vision_tower", None)
    if tower is not None and tower.device.type == "cpu" and tower.config._attn_implementation == "sdpa":
        tower.set_attn_implementation(_REUSING)
    if model.language_model.device.type == "cpu" and packs():
        with torch.inference_mode():
            _pack(model)


def packs() -> bool:
    """Return whether this machine has oneDNN on an x86 processor, where packed layers were measured."""
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX")


class PackedLinear(nn.Module):
    """A linear layer that stores its weight in oneDNN's layout; others convert it to that in every call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Turn (..., inputs) into (..., outputs), each row independent of the others."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        # A single row would get a kernel of its own, which adds in another order.
        rows = flat.expand(2, -1) if len(flat) == 1 else flat
        outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self.weight, self.bias, "none", [], ""
        )
        return outputs[: len(flat)].view(*inputs.shape[:-1], -1)


def _pack(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.Linear and _is_packable(child.weight):
            setattr(module, name, PackedLinear(child))
        else:
            _pack(child)


def _is_packable(weight: torch.Tensor) -> bool:
    """Return whether oneDNN can pack a weight: it has one of its precisions, and is not quantized."""
    supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    precisions = {torch.float32, torch.bfloat16} if supported else {torch.float32}
    return type(weight) is nn.Parameter and weight.dtype in precisions


def _grouped_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend with the queries that share keys as one longer query, rather than repeat the keys for each."""
    groups = getattr(module, "num_key_value_groups", 1)
    if attention_mask is None or groups == 1 or module.training:
        attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return attended, None
    rows, heads, length, width = query.shape
    grouped = query.reshape(rows, heads // groups, groups * length, width)
    mask = attention_mask if length == 1 else attention_mask.repeat(1, 1, groups, 1)
    attended = scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=options["scaling"])
    return attended.view(query.shape).transpose(1, 2), None


def _reusing_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend image by image, reusing the memory of the scores.

    With the hundreds of tokens of an image, allocating memory takes longer than computing.
    """
    if attention_mask is not None or module.training:
        attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return attended, None
    images, heads, length, width = query.shape
    scores, weights = _buffers((heads, length, key.shape[-2]), query.dtype)
    attended = query.new_empty(images, length, heads, width)
    for image, queries in enumerate(query * options["scaling"]):
        torch.matmul(queries, key[image].transpose(-1, -2), out=scores)
        torch.softmax(scores, -1, out=weights)
        attended[image] = (weights @ value[image]).transpose(0, 1)
    return attended, None


def _buffers(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return this thread's memory for scores and for their softmax."""
    held: tuple[torch.Tensor, torch.Tensor] | None = getattr(_memory, "buffers", None)
    if held is None or held[0].shape != shape or held[0].dtype != dtype:
        held = _memory.buffers = torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)
    return held


for name, attention in ((_GROUPED, _grouped_attention), (_REUSING, _reusing_attention)):
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, sdpa_mask)

"""Models with random weights in the shapes that benchmarks measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import Dinov2Config, LlamaConfig

from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.released.eva import eva_vit_config

# Dense bfloat16 FLOP/s, by the manufacturers' data sheets.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}


@dataclass(frozen=True)
class Shape:
    """A model, LoRA, and a training step: images, samples per image, tokens per sample, half labelled."""

    config: Callable[[], MiniGPTv2Config]
    adapter: AdapterConfig
    pictures: int
    samples: int
    tokens: int


def _tiny() -> MiniGPTv2Config:
    vision = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56)
    text = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return MiniGPTv2Config(vision_config=vision, text_config=text, image_size=56)


def _nano() -> MiniGPTv2Config:
    vision = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518)
    text = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    return MiniGPTv2Config(vision_config=vision, text_config=text, image_size=224)


def _7b() -> MiniGPTv2Config:
    return MiniGPTv2Config(vision_config=eva_vit_config(), text_config=LlamaConfig(), image_size=448)


SHAPES = {
    "tiny": Shape(_tiny, AdapterConfig(rank=2, alpha=4), pictures=2, samples=2, tokens=8),
    "nano": Shape(_nano, AdapterConfig(), pictures=64, samples=5, tokens=32),
    "7b": Shape(_7b, AdapterConfig(rank=64, alpha=16, all_linear=False), pictures=8, samples=4, tokens=64),
}


def random_model(name: str, device: str) -> MiniGPTv2ForConditionalGeneration:
    """Build a shape in bfloat16, the same each time, on a device."""
    torch.manual_seed(0)
    with torch.device(device):
        model = MiniGPTv2ForConditionalGeneration._from_config(SHAPES[name].config(), dtype=torch.bfloat16)
    assert isinstance(model, MiniGPTv2ForConditionalGeneration)
    return model


def peak_flops(device: str) -> float | None:
    """Return the data sheet's FLOP/s of the device, None if it is not listed."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((flops for chip, flops in PEAK_FLOPS.items() if chip in name), None)

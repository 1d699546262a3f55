"""The released files' layout, filled with small random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.vlm.folders.tensor_files import TensorFile
from assistant.vlm.released.eva import State

from .tiny import tiny_tokenizer

PARITY = Path(__file__).parents[1] / "parity"
EVA_VIT = PARITY / "eva_vit_g.pth"
HEADS, LAYERS, WIDTH, RANK, SIDE = 2, 2, 64, 4, 56
# The reference saves its settings beside the weights.
SETTINGS = {"arch": "minigpt_v2", "lora_r": RANK, "lora_alpha": 8, "image_size": SIDE}


def read_torch(path: Path) -> State:
    """Read all tensors of a file that `torch.save` wrote."""
    return dict(TensorFile(path))


def write_llama(folder: Path) -> Path:
    """Write a directory as LLaMA-2's, of two small layers in float16."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).to(torch.float16).save_pretrained(folder)
    tiny_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def lora_state(spelling: str = "") -> State:
    """Return LoRA under the names of peft 0.2.0, or with `.default` of later ones, and buffers."""
    torch.manual_seed(1)
    state: State = {}
    for index in range(LAYERS):
        layer = f"llama_model.base_model.model.model.layers.{index}.self_attn"
        for name in ("q_proj", "v_proj"):
            state[f"{layer}.{name}.lora_A{spelling}.weight"] = torch.randn(RANK, WIDTH)
            state[f"{layer}.{name}.lora_B{spelling}.weight"] = torch.randn(WIDTH, RANK)
        state[f"{layer}.rotary_emb.inv_freq"] = torch.ones(8)
    return state


def checkpoint_state(spelling: str = "") -> State:
    """Return LoRA and the linear layer."""
    return lora_state(spelling) | read_torch(PARITY / "llama_proj.pth")


def write_checkpoint(path: Path, state: State, settings: dict[str, Any] | None = None) -> Path:
    """Write a checkpoint as the reference's trainer saves it."""
    held = {"model": state, "optimizer": {"state": {}}, "config": {"run": {}, "model": settings or SETTINGS}}
    torch.save(held | {"epoch": 3}, path)
    return path

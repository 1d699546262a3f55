"""A checkpoint of the released MiniGPT-v2: LoRA on the attention's queries and values, and the linear layer.

The names are those of peft 0.2.0 or later. The reference saves trained weights only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..architecture.adapter import AdapterConfig
from ..errors import WeightsError, one_line
from ..folders.settings import LARGEST_ALPHA, LARGEST_SIDE
from ..folders.tensor_files import TensorFile, named
from .eva import State, convert_projection

# The reference's defaults for settings that the checkpoint lacks.
LORA_ALPHA = 16
IMAGE_SIZE = 448
LORA_LAYERS = ("q_proj", "v_proj")

# MiniGPT-4's first version reads the 768 features of a Q-Former.
_FIRST_VERSION_FEATURES = 768
_LORA = re.compile(
    r"llama_model\.base_model\.model\.(?P<layer>model\.layers\.\d+\..+)"
    r"\.lora_(?P<part>[AB])(?P<later>\.default)?\.weight"
)
# PEFT's prefix of the weight names of an adapter.
_PEFT_PREFIX = "base_model.model."
# The reference saves buffers too, which are not trained.
_BUFFER = re.compile(r".*\.rotary_emb\.inv_freq")

Lora = dict[str, dict[str, torch.Tensor]]
"""`{layer: {"A": (rank, in), "B": (out, rank)}}`, in float32."""


@dataclass
class Trained:
    """The trained weights of a checkpoint: LoRA, its alpha, the linear layer, and `ln_vision` if present."""

    path: Path
    lora: Lora
    alpha: int
    image_size: int
    linear: State
    layer_norm: State = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """LoRA's rank, 0 without LoRA."""
        return next((len(parts["A"]) for parts in self.lora.values()), 0)

    @classmethod
    def read(cls, path: Path) -> Trained:
        """Read a checkpoint of MiniGPT-v2 with its settings.

        Raises:
            WeightsError: it cannot be read, is of another model, or a weight is missing or unexpected.
        """
        file = TensorFile(path)
        with named(path):
            _require_second_version(file)
            lora, rest = split_checkpoint(file)
            linear, layer_norm = convert_projection(rest)
        settings = file.settings
        alpha, image_size = settings.get("lora_alpha", LORA_ALPHA), settings.get("image_size", IMAGE_SIZE)
        for name, value, most in (
            ("lora_alpha", alpha, LARGEST_ALPHA),
            ("image_size", image_size, LARGEST_SIDE),
        ):
            if type(value) is not int or not 1 <= value <= most:
                raise WeightsError(
                    f"{path}: config.model.{name} is {one_line(value)}: it must be a count up to {most}"
                )
        trained = cls(path, lora, alpha, image_size, linear, layer_norm)
        if not lora:
            raise WeightsError(f"{path} has no LoRA: take a checkpoint of MiniGPT-v2, or none")
        rank = settings.get("lora_r", trained.rank)
        if rank != trained.rank:
            said = f"config.model.lora_r is {one_line(rank)}"
            raise WeightsError(f"{path}: {said}, the LoRA that is there has rank {trained.rank}")
        return trained

    def require_lora(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `WeightsError` unless LoRA fits all query and value layers in `wanted`."""
        pattern = re.compile(
            rf"language_model\.(model\.layers\.\d+\.self_attn\.(?:{'|'.join(LORA_LAYERS)}))\.weight"
        )
        places = {match[1]: shape for name, shape in wanted.items() if (match := pattern.fullmatch(name))}
        if wrong := sorted(places.keys() ^ self.lora.keys()):
            raise WeightsError(
                f"{self.path}: not LoRA for this LLaMA: missing or unknown: {one_line(wrong[:3])}"
            )
        for layer, parts in self.lora.items():
            out, width = places[layer]
            found = tuple(parts["A"].shape), tuple(parts["B"].shape)
            if found != ((self.rank, width), (out, self.rank)):
                raise WeightsError(
                    f"{self.path}: the LoRA of {layer} is {found[0]} and {found[1]}: for rank {self.rank} "
                    f"and this LLaMA it must be {(self.rank, width)} and {(out, self.rank)}"
                )

    def save_adapter(self, folder: Path, base_name: str) -> None:
        """Write LoRA and the linear layer as an adapter in our format, in float32."""
        config = AdapterConfig(self.rank, self.alpha, all_linear=False).lora()
        config.base_model_name_or_path = base_name
        config.inference_mode = True
        config.save_pretrained(str(folder))
        state = {
            f"{_PEFT_PREFIX}language_model.{layer}.lora_{part}.weight": tensor.contiguous()
            for layer, parts in self.lora.items()
            for part, tensor in parts.items()
        }
        state |= {f"{_PEFT_PREFIX}vision_projection.{name}": tensor for name, tensor in self.linear.items()}
        save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def split_checkpoint(state: Mapping[str, torch.Tensor]) -> tuple[Lora, State]:
    """Split a checkpoint into LoRA, `{layer: {"A": (rank, in), "B": (out, rank)}}`, and the rest.

    Raises:
        WeightsError: LoRA has names of two peft releases, lacks an A or B, or has rank 0.
    """
    lora: Lora = {}
    rest: State = {}
    spellings = set()
    for name in state:
        if match := _LORA.fullmatch(name):
            spellings.add(match["later"])
            lora.setdefault(match["layer"], {})[match["part"]] = state[name].float()
            if 0 in state[name].shape:
                raise WeightsError(f"{name} is {tuple(state[name].shape)}: LoRA of rank 0 is none")
        elif not _BUFFER.fullmatch(name):
            rest[name] = state[name]
    if len(spellings) > 1:
        raise WeightsError(
            "LoRA is there twice, as lora_A.weight and as lora_A.default.weight: which is meant?"
        )
    if halves := sorted(layer for layer, parts in lora.items() if parts.keys() != {"A", "B"}):
        raise WeightsError(f"the LoRA of {halves[0]} is only half there: copy the file again")
    return lora, rest


def merged(weight: torch.Tensor, lora: Mapping[str, torch.Tensor], scale: float) -> torch.Tensor:
    """Return a weight (out, in) plus LoRA, added in float32, in the precision of the weight."""
    return (weight.float() + lora["B"] @ lora["A"] * scale).to(weight.dtype)


def _require_second_version(file: TensorFile) -> None:
    projection = "llama_proj.weight"
    if "patch_embed.proj.weight" in file:
        raise WeightsError(f"{file.path} is eva_vit_g.pth, not a checkpoint: are the two swapped?")
    features = file.shape(projection)[-1:] if projection in file else ()
    if features == (_FIRST_VERSION_FEATURES,) or any(name.startswith("Qformer.") for name in file):
        raise WeightsError(
            f"{file.path} is of MiniGPT-4's first version, whose {projection} reads a Q-Former: take a "
            "checkpoint of MiniGPT-v2"
        )

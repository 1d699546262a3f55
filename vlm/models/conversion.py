"""Convert weights to our format: SmolLM2 from GGUF, DINOv2 from ONNX, EfficientNet-Lite from PyTorch.

`released/eva.py` converts the reference's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
)

from ..architecture.configuration import MiniGPTv2Config
from ..architecture.efficientnet import EfficientNetLite, EfficientNetLiteConfig, fold_batch_norm
from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..architecture.processing import MiniGPTv2ImageProcessor, MiniGPTv2Processor
from ..errors import WeightsError, one_line
from ..prompt_form import OURS

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
_GGUF_MARKS = ("quantization_config", "_name_or_path", "_model_name_or_path")


def convert_nano(files: Sequence[Path], image_size: int, folder: Path) -> None:
    """Write a MiniGPT-v2 folder in bfloat16 from the files of language model, vision tower and classifier.

    The linear layer between them is newly initialised; the adapter replaces it.
    """
    gguf, onnx, checkpoint = files
    language_model, tokenizer = read_gguf(gguf)
    vision_tower = read_dinov2_onnx(onnx)
    classifier = read_efficientnet_lite(checkpoint)
    classifier.config.grid = image_size // vision_tower.config.patch_size
    # Its map of stride 16 then has one cell for each patch of the vision tower.
    classifier.config.image_size = 16 * classifier.config.grid
    config = MiniGPTv2Config(
        vision_config=vision_tower.config,
        text_config=language_model.config,
        classifier_config=classifier.config,
        image_size=image_size,
    )
    torch.manual_seed(0)
    model = MiniGPTv2ForConditionalGeneration(config)
    model.vision_tower.load_state_dict(vision_tower.state_dict())
    model.get_submodule("classifier_tower").load_state_dict(classifier.state_dict())
    model.language_model.load_state_dict(language_model.state_dict())
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.max_new_tokens = OURS.longest(None)
    model.to(torch.bfloat16).save_pretrained(folder)
    image_processor = MiniGPTv2ImageProcessor(
        size={"height": image_size, "width": image_size}, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD
    )
    MiniGPTv2Processor(
        image_processor, tokenizer, image_tokens=config.image_tokens, image_token_id=config.image_token_id
    ).save_pretrained(folder)


def read_gguf(path: Path) -> tuple[LlamaForCausalLM, AutoTokenizer]:
    """Read a LLaMA-like model and its tokenizer from a GGUF file, weights dequantised to float32."""
    packed = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, trust_remote_code=False
    )
    # A model loaded from GGUF stays marked as quantised and cannot be saved.
    values = {key: value for key, value in packed.config.to_dict().items() if key not in _GGUF_MARKS}
    model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(packed.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
    return model, tokenizer


def read_dinov2_onnx(path: Path) -> Dinov2Model:
    """Read a DINOv2 ViT-S/14 backbone from an ONNX file, in float32.

    The last block is dropped: the block before it, after the final LayerNorm, says more about the things in a
    photo (the publisher fine-tuned the tower for saliency, which the last block serves).
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    tensors = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}
    state = {
        name.removeprefix("backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.")
    }
    for node in graph.node:
        # A linear layer's weight is unnamed: it is the MatMul's input, transposed.
        if node.op_type == "MatMul" and node.name.startswith("/backbone/") and node.input[1] in tensors:
            name = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            state[f"{name}.weight"] = tensors[node.input[1]].T.contiguous()
    unnamed = {tuple(tensor.shape): tensor for tensor in tensors.values() if tensor.ndim == 3}
    class_position, patch_positions = unnamed[1, 1, 384], unnamed[1, 1369, 384]
    state["embeddings.position_embeddings"] = torch.cat([class_position, patch_positions], dim=1)
    state["embeddings.mask_token"] = torch.zeros(1, 384)
    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=11, num_attention_heads=6, patch_size=14, image_size=518
    )
    kept = {name: value for name, value in state.items() if ".layer.11." not in name}
    # from_pretrained maps the published names of every transformers release; load_state_dict does not.
    model, report = Dinov2Model.from_pretrained(
        None, config=config, state_dict=kept, output_loading_info=True, trust_remote_code=False
    )
    require_all_keys(report, path)
    return model


def read_efficientnet_lite(path: Path) -> EfficientNetLite:
    """Read an EfficientNet-Lite2 from the checkpoint of `efficientnet_lite_pytorch`, without its classifier.

    Keeps the trunk up to the last block, in float32, with batch normalisation folded in.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = EfficientNetLite(EfficientNetLiteConfig())
    layers: dict[str, tuple[str, str]] = {"stem": ("_conv_stem", "_bn0")}
    for index in range(len(model.blocks)):
        ours, theirs = f"blocks.{index}", f"_blocks.{index}"
        for layer, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if f"{theirs}._{layer}_conv.weight" in state:
                layers[f"{ours}.{layer}"] = (f"{theirs}._{layer}_conv", f"{theirs}.{norm}")
    folded: dict[str, torch.Tensor] = {}
    for ours, (convolution, norm) in layers.items():
        values = {name: state[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
        weight, bias = fold_batch_norm(state[f"{convolution}.weight"], values)
        folded |= {f"{ours}.weight": weight, f"{ours}.bias": bias}
    model.load_state_dict(folded)
    model.eval()
    return model


def require_all_keys(report: dict[str, Any], source: Path) -> None:
    """Raise `WeightsError` if keys are missing, unexpected or mismatched."""
    wrong = {kind: sorted(report[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(wrong.values()):
        raise WeightsError(f"{source} does not fit the model: {one_line(wrong)}")

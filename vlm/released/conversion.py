"""Convert the released MiniGPT-v2 files losslessly to a model folder.

The files are a LLaMA-2 directory of transformers, `eva_vit_g.pth`, and a checkpoint with the linear layer and
LoRA on the attention's queries and values, with the names of peft 0.2.0 or later. Each weight keeps its
precision, and LoRA stays separate, in `adapter/`, so that training can continue from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import Blip2VisionConfig, GenerationConfig, LlamaConfig
from transformers.initialization import no_init_weights

from ..architecture.configuration import MiniGPTv2Config
from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..architecture.processing import MiniGPTv2ImageProcessor, MiniGPTv2Processor
from ..errors import WeightsError, one_line
from ..folders.base_note import ADAPTER, note_base
from ..folders.reading import read_model_folder
from ..folders.settings import LARGEST_SIDE
from ..folders.tensor_files import TensorFile, named
from ..folders.writing import Tell, WrittenFolder
from .checkpoint import IMAGE_SIZE, Lora, Trained, merged
from .eva import State, convert_eva_vit, find_eva_config
from .llama_folder import LlamaFolder
from .prompt_form import RELEASED


def convert_released(
    llama: Path,
    eva_vit: Path,
    checkpoint: Path | None,
    folder: Path,
    vision_config: Blip2VisionConfig | None = None,
    *,
    merge: bool = False,
    heads: int | None = None,
    layers: int | None = None,
    image_size: int | None = None,
    tell: Tell | None = None,
) -> None:
    """Write a new MiniGPT-v2 folder, completely or not at all.

    Without a checkpoint the linear layer is newly initialised, for the first stage of training. With `merge`,
    LoRA is added to its base weights. Sizes come from the files, but for the tower's `heads` and `layers`
    (see `find_eva_config`); alpha and `image_size` come from the checkpoint's settings, or else from the
    paper. `tell` receives the bytes done and the total. Memory holds one part of a few GB at a time.

    Raises:
        WeightsError: a file cannot be read, a weight is missing, unexpected or not finite, or the disk is
            full; nothing is left behind.
    """
    if folder.exists():
        raise WeightsError(f"{folder} is already there: name a new folder")
    language_model = LlamaFolder.open(llama)
    trained = None if checkpoint is None else Trained.read(checkpoint)
    tower = TensorFile(eva_vit)
    size = image_size or (trained.image_size if trained else IMAGE_SIZE)
    if size > LARGEST_SIDE:
        raise WeightsError(f"images of {size} x {size} pixels are too large: at most {LARGEST_SIDE}")
    vision_config = vision_config or find_eva_config(tower, size, heads, layers)
    config = _configuration(vision_config, language_model.config, eva_vit)
    wanted = _shapes(config)
    _require_shapes(language_model, trained, wanted)
    parts = _vision(tower, vision_config, trained, config)
    _require_parts(parts, wanted, eva_vit)
    lora, scale = _to_merge(trained, merge=merge)

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        yield from parts.items()
        for name, tensor in language_model.tensors():
            layer = name.removesuffix(".weight")
            yield f"language_model.{name}", merged(tensor, lora[layer], scale) if layer in lora else tensor

    sources = [eva_vit, *([checkpoint] if checkpoint else []), *language_model.files]
    with WrittenFolder(folder, sources, tell) as written:
        written.add_tensors(tensors())
        _save_settings(config, language_model, written.path)
        if trained and trained.lora and not merge:
            trained.save_adapter(written.path / ADAPTER, folder.name)
            note_base(written.path / ADAPTER, written.path, folder.name)
        read_model_folder(written.path)  # check that the folder can be read
        written.describe(_description(trained, merge=merge))


def _to_merge(trained: Trained | None, *, merge: bool) -> tuple[Lora, float]:
    if trained is None or not merge or not trained.lora:
        return {}, 0.0
    return trained.lora, trained.alpha / trained.rank


def _configuration(vision: Blip2VisionConfig, text: LlamaConfig, eva_vit: Path) -> MiniGPTv2Config:
    try:
        config = MiniGPTv2Config(vision_config=vision, text_config=text, image_size=vision.image_size)
    except ValueError as error:
        raise WeightsError(f"{eva_vit}: {one_line(error)}") from error
    config.architectures = [MiniGPTv2ForConditionalGeneration.__name__]
    return config


def _shapes(config: MiniGPTv2Config) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of a model with this configuration."""
    with torch.device("meta"), no_init_weights():
        model = MiniGPTv2ForConditionalGeneration(config)
    tied = model.all_tied_weights_keys
    return {name: tuple(it.shape) for name, it in model.state_dict().items() if name not in tied}


def _require_shapes(
    language_model: LlamaFolder, trained: Trained | None, wanted: Mapping[str, tuple[int, ...]]
) -> None:
    prefix = "language_model."
    language_model.require({k.removeprefix(prefix): v for k, v in wanted.items() if k.startswith(prefix)})
    if trained is None:
        return
    out, features = wanted["vision_projection.weight"]
    found = tuple(trained.linear["weight"].shape)
    if found != (out, features):
        raise WeightsError(
            f"{trained.path}: llama_proj.weight is {found}, but {language_model.path} has a width of {out} "
            f"and the vision tower gives {features} features: they are not of one model"
        )
    if trained.lora:
        trained.require_lora(wanted)


def _vision(
    file: TensorFile, vision: Blip2VisionConfig, trained: Trained | None, config: MiniGPTv2Config
) -> State:
    """Return the weights of the tower and the linear layer with our names."""
    with named(file.path):
        tower = convert_eva_vit(file, vision)
    if trained is not None:
        tower |= trained.layer_norm
        linear = trained.linear
    else:
        torch.manual_seed(0)
        fresh = nn.Linear(config.patch_features * config.patches_per_token, config.text_config.hidden_size)
        linear = dict(fresh.state_dict())
    return _prefixed("vision_tower.", tower) | _prefixed("vision_projection.", linear)


def _require_parts(parts: State, wanted: Mapping[str, tuple[int, ...]], path: Path) -> None:
    for name, tensor in parts.items():
        if tuple(tensor.shape) != wanted.get(name):
            raise WeightsError(
                f"{path}: {name} is {tuple(tensor.shape)}, by the other weights it must be {wanted.get(name)}"
            )


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _save_settings(config: MiniGPTv2Config, language_model: LlamaFolder, folder: Path) -> None:
    tokenizer = language_model.tokenizer
    config.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=RELEASED.longest(None),
    ).save_pretrained(folder)
    images = MiniGPTv2ImageProcessor(size={"height": config.image_size, "width": config.image_size})
    processor = MiniGPTv2Processor(
        images, tokenizer, config.image_tokens, config.image_token_id, prompt_form=RELEASED
    )
    processor.save_pretrained(folder)


def _description(trained: Trained | None, *, merge: bool) -> dict[str, object]:
    lora = trained is not None and bool(trained.lora)
    return {
        "prompt_form": RELEASED.name,
        "lora": {"rank": trained.rank, "alpha": trained.alpha, "merged": merge} if trained and lora else None,
    }

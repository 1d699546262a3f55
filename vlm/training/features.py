"""Cache the features of the frozen towers on disk, so that only the first pass computes them.

Useful if the same images return, that is, without crops, and if the towers are large compared with the
language model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..atomic import replacing
from .progress import LogLine

_NAME = "features"


class FeatureCache:
    """Replaces a model's `get_patches`; several processes may share a folder.

    The key is a hash of the towers' weights and settings (subfolder) and of the image's pixels (file), so
    features of other towers, sizes or images are never confused. Unreadable files are rewritten; after the
    first failed write, which is logged, nothing more is cached.
    """

    def __init__(self, folder: Path, model: MiniGPTv2ForConditionalGeneration, log_line: LogLine) -> None:
        self._compute: Callable[[torch.Tensor], torch.Tensor] = model.get_patches
        self._dtype = model.vision_tower.dtype
        self._folder = folder / _digest_of_towers(model)
        self._log_line = log_line
        self._can_write = True

    def __call__(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the merged patches (images, tokens, features) of pixels (images, 3, side, side)."""
        files = [self._folder / f"{_digest(image)}.safetensors" for image in pixel_values]
        found = [_read(file) for file in files]
        new = [index for index, features in enumerate(found) if features is None]
        if new:
            with torch.no_grad():
                seen = self._compute(pixel_values[new]).to(self._dtype)
            for index, features in zip(new, seen, strict=True):
                found[index] = features
                self._write(files[index], features)
        device = pixel_values.device
        return torch.stack([it.to(device) for it in found if it is not None])

    def _write(self, file: Path, features: torch.Tensor) -> None:
        if not self._can_write:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part:
                save_file({_NAME: features.cpu().contiguous()}, part)
        except (OSError, RuntimeError, SafetensorError) as error:
            self._can_write = False
            self._log_line(f"cannot cache features in {self._folder}: {error}; continuing without the cache")


def cache_features(model: MiniGPTv2ForConditionalGeneration, folder: Path, log_line: LogLine) -> None:
    """Compute the towers' features of each image once, and read them from the folder afterwards."""
    model.get_patches = FeatureCache(folder, model, log_line)  # type: ignore[method-assign]


def _read(file: Path) -> torch.Tensor | None:
    try:
        return load_file(file)[_NAME]
    except (OSError, SafetensorError, KeyError):
        return None


def _digest_of_towers(model: MiniGPTv2ForConditionalGeneration) -> str:
    """Return a hash of the towers' weights and settings."""
    towers = [it for it in (model.vision_tower, model.classifier_tower) if it is not None]
    settings = [it.config.to_json_string(use_diff=False) for it in towers]
    settings.append(str(model.config.patches_per_token))
    written = torch.frombuffer(bytearray("\n".join(settings).encode()), dtype=torch.uint8)
    return _digest(written, *(weight for tower in towers for weight in tower.state_dict().values()))


def _digest(*tensors: torch.Tensor) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

"""What the frozen towers see in a picture, kept on disk: every pass but the first finds it there.

Of use where pictures come back as they were, that is, without crops, and most where the towers are large
beside the language model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..modeling import MiniGPTv2ForConditionalGeneration
from .progress import LogLine

_NAME = "features"


class FeatureCache:
    """Stands in for a model's `get_patches`; several processes may share a folder.

    The towers of a model have a subfolder named by their weights and settings, and each picture a file named
    by its pixels, so that features of other towers, another size or picture are never taken for these. A file
    that cannot be read is written anew; once one cannot be written, this is told and nothing more is kept.
    """

    def __init__(self, folder: Path, model: MiniGPTv2ForConditionalGeneration, log_line: LogLine) -> None:
        self._look: Callable[[torch.Tensor], torch.Tensor] = model.get_patches
        self._dtype = model.vision_tower.dtype
        self._folder = folder / _digest_of_towers(model)
        self._log_line = log_line
        self._keeps = True

    def __call__(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the patches of pictures (pictures, 3, side, side), merged: (pictures, tokens, features)."""
        files = [self._folder / f"{_digest(picture)}.safetensors" for picture in pixel_values]
        found = [_read(file) for file in files]
        new = [index for index, features in enumerate(found) if features is None]
        if new:
            with torch.no_grad():
                seen = self._look(pixel_values[new]).to(self._dtype)
            for index, features in zip(new, seen, strict=True):
                found[index] = features
                self._keep(files[index], features)
        device = pixel_values.device
        return torch.stack([it.to(device) for it in found if it is not None])

    def _keep(self, file: Path, features: torch.Tensor) -> None:
        if not self._keeps:
            return
        part = file.with_suffix(f".{os.getpid()}")  # whole or not at all
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file({_NAME: features.cpu().contiguous()}, part)
            part.replace(file)
        except (OSError, RuntimeError, SafetensorError) as error:
            self._keeps = False
            part.unlink(missing_ok=True)
            self._log_line(f"cannot keep features in {self._folder}: {error}; going on without keeping more")


def cache_features(model: MiniGPTv2ForConditionalGeneration, folder: Path, log_line: LogLine) -> None:
    """Let a model's frozen towers look at each picture once, and find in the folder what they saw."""
    model.get_patches = FeatureCache(folder, model, log_line)  # type: ignore[method-assign]


def _read(file: Path) -> torch.Tensor | None:
    try:
        return load_file(file)[_NAME]
    except (OSError, SafetensorError, KeyError):
        return None


def _digest_of_towers(model: MiniGPTv2ForConditionalGeneration) -> str:
    """Return a name for all that patches depend on but the picture: weights, and how they are used."""
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


__all__ = ["FeatureCache", "cache_features"]

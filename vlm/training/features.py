"""What the frozen tower says of a picture, kept on disk: every pass but the first finds it there.

Of use where pictures come back as they were, that is, without crops, and most where the tower is large beside
the language model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from .progress import Tell

_NAME = "features"


class FeatureCache:
    """Stands in for a tower's `forward`; several processes may share a folder.

    Each tower has a subfolder named by its weights, and each picture a file named by its pixels, so that
    features of another tower, size or picture are never taken for these. A file that cannot be read is
    written anew; once one cannot be written, this is told and nothing more is kept.
    """

    def __init__(self, folder: Path, tower: nn.Module, tell: Tell) -> None:
        self._look: Callable[..., BaseModelOutput] = tower.forward
        self._dtype = next(tower.parameters()).dtype
        self._folder = folder / _digest(*tower.state_dict().values())
        self._tell = tell
        self._keeps = True

    def __call__(self, pixel_values: torch.Tensor) -> BaseModelOutput:
        """Return the features (pictures, 1 + patches, width) of pictures (pictures, 3, side, side)."""
        files = [self._folder / f"{_digest(picture)}.safetensors" for picture in pixel_values]
        found = [_read(file) for file in files]
        new = [index for index, features in enumerate(found) if features is None]
        if new:
            with torch.no_grad():
                seen = self._look(pixel_values=pixel_values[new]).last_hidden_state.to(self._dtype)
            for index, features in zip(new, seen, strict=True):
                found[index] = features
                self._keep(files[index], features)
        device = pixel_values.device
        return BaseModelOutput(torch.stack([it.to(device) for it in found if it is not None]))

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
            self._tell(f"cannot keep features in {self._folder}: {error}; going on without keeping more")


def keep_features(tower: nn.Module, folder: Path, tell: Tell) -> None:
    """Let a frozen tower look at each picture once, and find what it said in the folder from then on."""
    tower.forward = FeatureCache(folder, tower, tell)


def _read(file: Path) -> torch.Tensor | None:
    try:
        return load_file(file)[_NAME]
    except (OSError, SafetensorError, KeyError):
        return None


def _digest(*tensors: torch.Tensor) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


__all__ = ["FeatureCache", "keep_features"]

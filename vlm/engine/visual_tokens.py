"""The visual tokens of the last few pictures, since people ask more than one thing about a picture."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import torch

from ..modeling import MiniGPTv2ForConditionalGeneration

KEPT_PICTURES = 8


class VisualTokens:
    """Looks at each picture once while it is among the last few; for one thread at a time."""

    def __init__(self, model: MiniGPTv2ForConditionalGeneration) -> None:
        self._model = model
        self._kept: OrderedDict[bytes, torch.Tensor] = OrderedDict()

    def of(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the visual tokens (pictures, tokens, text width) of pictures (1, 3, side, side) each."""
        keys = [hashlib.blake2b(picture.numpy().tobytes()).digest() for picture in pictures]
        new = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._kept}
        if new:
            pixels = torch.cat(list(new.values())).to(self._model.device)
            self._kept.update(zip(new, self._model.get_image_features(pixels), strict=True))
        for key in keys:
            self._kept.move_to_end(key)
        found = torch.stack([self._kept[key] for key in keys])
        while len(self._kept) > KEPT_PICTURES:
            self._kept.popitem(last=False)
        return found


__all__ = ["KEPT_PICTURES", "VisualTokens"]

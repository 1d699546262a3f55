"""Batches for sharded weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image

from ..data.collator import NO_TASK
from ..data.instructions import Sample
from ..data.mixture import Example
from ..processing import IGNORED
from ..tasks import Turn

Collate = Callable[[Sequence[Example]], dict[str, torch.Tensor]]


class BlankImageCollator:
    """Adds a blank image without labels to batches that have no image.

    Processes gather sharded weights together: one that skipped the tower would block the others.
    """

    def __init__(self, collate: Collate) -> None:
        self._collate = collate

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return the batch, with one more row if it has no image."""
        if any(example.image is not None for example in examples):
            return self._collate(examples)
        blank = Example(Image.new("RGB", (1, 1)), [Sample(None, Turn("?", "."))])
        batch = self._collate([*examples, blank])
        batch["labels"][-1] = IGNORED
        batch["tasks"][-1] = NO_TASK
        return batch


__all__ = ["BlankImageCollator"]

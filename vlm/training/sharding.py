"""What sharded weights need: the layers to shard, batches that all have an image, and gathering."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from ..architecture.processing import IGNORED
from ..data.collator import NO_TASK
from ..data.instructions import Sample
from ..data.mixture import Example
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


def layer_classes(model: nn.Module) -> list[str]:
    """Return the class names of the layers in the stacks of the towers and the language model."""
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return sorted({type(layer).__name__ for stack in stacks for layer in stack})


def gather_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Gather the trained weights of all shards; every process must call it."""
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return get_model_state_dict(model, options=whole)  # type: ignore[return-value]

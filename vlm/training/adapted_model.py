"""Types for the parts of PEFT's model and transformers' outputs that training uses, which are untyped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from ..architecture.modeling import MiniGPTv2ForConditionalGeneration


class Cache(Protocol):
    """The key-value cache of a prompt."""

    batch_repeat_interleave: Callable[[int], None]


class Output(Protocol):
    """The output of a forward pass; `logits` (labelled positions, vocabulary) with `answers_only`."""

    logits: torch.Tensor
    past_key_values: Cache


class AdaptedModel(Protocol):
    """A model with an adapter; `generate` continues prompts to token ids (batch, length)."""

    training: bool
    device: torch.device
    generate: Callable[..., torch.Tensor]
    get_base_model: Callable[[], MiniGPTv2ForConditionalGeneration]
    eval: Callable[[], object]
    train: Callable[[bool], object]

    def __call__(self, **inputs: object) -> Output:
        """Run a forward pass."""

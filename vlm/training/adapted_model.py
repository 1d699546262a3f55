"""What training uses of PEFT's model and transformers' outputs, which have no types of their own."""

from __future__ import annotations

from typing import Protocol, Self

import torch

from ..modeling import MiniGPTv2ForConditionalGeneration


class Cache(Protocol):
    """The key-value cache of a prompt."""

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row of the batch in place."""


class Output(Protocol):
    """The output of a forward pass; `logits` (labelled positions, vocabulary) with `answers_only`."""

    logits: torch.Tensor
    past_key_values: Cache


class AdaptedModel(Protocol):
    """A model with an adapter."""

    training: bool

    @property
    def device(self) -> torch.device:
        """The device of its weights."""

    def __call__(self, **inputs: object) -> Output:
        """Run a forward pass."""

    def generate(self, **inputs: object) -> torch.Tensor:
        """Return the prompts continued by answers, as token ids (batch, length)."""

    def get_base_model(self) -> MiniGPTv2ForConditionalGeneration:
        """Return the model, in which the adapter's layers have taken the place of some."""

    def eval(self) -> Self:
        """Turn dropout off."""

    def train(self, mode: bool = True) -> Self:
        """Turn dropout on or off."""


__all__ = ["AdaptedModel", "Cache", "Output"]

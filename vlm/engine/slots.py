"""The key-value cache of a batch: one slot per row, in which the row's tokens start at position 0.

A row never moves because of its neighbours, and attention always spans a multiple of 16 positions, of which
the mask hides those past the row's end. So sums are always added in the same order, and an answer does not
depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache

# Vector registers hold up to 16 float32: a shorter remainder would be summed in another order.
_SPAN = 16
# Slots grow by this many places at a time.
_GROWTH = 64


class Slots(Cache):
    """Keys and values of all layers, (layers, 2, slots, heads, places, width)."""

    def __init__(self, config: PreTrainedConfig, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(layers=[])
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, 2, 0, config.num_key_value_heads, 0, width)
        self._states = torch.zeros(shape, device=device, dtype=dtype)
        self._slots = slice(0)
        self._index: Any = ()
        self._span = 0

    def aim(self, first: int, starts: Sequence[int], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the next pass write `steps` tokens per row, from `starts`, into the slots from `first`.

        Returns:
            The tokens' positions (rows, steps), and the mask (rows, 1, steps, places), true where a token
            may attend.
        """
        stop, rows = first + len(starts), torch.arange(len(starts))[:, None]
        self._reserve(stop, max(starts) + steps)
        positions = torch.tensor(starts)[:, None] + torch.arange(steps)
        self._slots, self._span = slice(first, stop), -(-(max(starts) + steps) // _SPAN) * _SPAN
        mask = (torch.arange(self._span) <= positions[:, :, None])[:, None]
        device = self._states.device
        positions = positions.to(device)
        self._index = rows.to(device), slice(None), positions
        return positions, mask.to(device)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's keys and values (rows, heads, steps, width); return all those of the rows."""
        keys, values = self._states[layer_idx, :, self._slots]
        device = key_states.device  # of a model on several devices, not every layer's is the cache's
        keys[self._index] = key_states.transpose(1, 2).to(keys.device)
        values[self._index] = value_states.transpose(1, 2).to(values.device)
        return keys[:, :, : self._span].to(device), values[:, :, : self._span].to(device)

    def read(self, slot: int, length: int) -> torch.Tensor:
        """Return a copy of a slot's first keys and values, (layers, 2, heads, length, width)."""
        return self._states[:, :, slot, :, :length].clone()

    def write(self, slot: int, states: torch.Tensor) -> None:
        """Write keys and values (layers, 2, heads, length, width) to the beginning of a slot."""
        length = states.shape[-2]
        self._reserve(slot + 1, length)
        self._states[:, :, slot, :, :length] = states

    def move(self, source: int, target: int) -> None:
        """Copy one slot over another."""
        self._states[:, :, target] = self._states[:, :, source]

    def _reserve(self, slots: int, places: int) -> None:
        """Grow to so many slots and positions, filled with zeros: masked positions must not hold NaN."""
        held, room = self._states.shape[2], self._states.shape[4]
        if slots > held or places > room:
            more = max(slots, 2 * held) - held if slots > held else 0
            longer = max(-(-places // _GROWTH) * _GROWTH - room, 0)
            self._states = pad(self._states, (0, 0, 0, longer, 0, 0, 0, more))

"""Batch examples of similar length, because padding costs as much compute as real tokens."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Protocol

from torch.utils.data import Sampler

from ..tasks import Turn

# Sort within windows of this many consecutive batches only, so that the stream stays mixed.
WINDOW_BATCHES = 16
# Tokens of a turn besides its text: `[INST]`, `[/INST]`, the end of the image, begin and end of sequence.
TURN_TOKENS = 16
# Visual tokens of an image, roughly: 64 for nano, 256 for 7b.
IMAGE_TOKENS = 64

# Tokenizers keep most words whole and split numbers and markup into characters.
_PIECE = re.compile(r"[^\W\d_]+|\S")


def text_length(turn: Turn) -> int:
    """Estimate how many tokens a turn takes, without a tokenizer."""
    return TURN_TOKENS + sum(1 for _ in _PIECE.finditer(f"{turn.user} {turn.answer or ''}"))


class HasLengths(Protocol):
    """A dataset that knows the length of an example without building it."""

    def __len__(self) -> int: ...

    def length_of(self, index: int) -> int:
        """Return the length of an example, in any unit."""


class LengthBuckets(Sampler[int]):
    """Yields every index once, in batches of similar length; the order depends on the seed alone.

    Each window of 16 batches of consecutive indices is sorted by length, cut into batches, and the batches
    are shuffled. Iterating again gives the same order, so a run resumes by skipping; a longer dataset keeps
    the order of the earlier indices. With several processes or gradient accumulation, `batch_size` may be
    that of the whole step, so that processes wait less for one another.
    """

    def __init__(self, dataset: HasLengths, batch_size: int, seed: int) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        window = WINDOW_BATCHES * self.batch_size
        for start in range(0, len(self.dataset), window):
            for batch in self._batches(range(start, min(start + window, len(self.dataset)))):
                yield from batch

    def _batches(self, indices: range) -> list[list[int]]:
        ordered = sorted(indices, key=self.dataset.length_of)
        batches = [
            ordered[first : first + self.batch_size] for first in range(0, len(ordered), self.batch_size)
        ]
        # Keep a short batch last, or the batches after it would be misaligned.
        rest = [batches.pop()] if len(batches[-1]) < self.batch_size else []
        random.Random(f"{self.seed}:{indices.start}").shuffle(batches)
        return batches + rest

"""Batches of examples of about one length: padding to the longest costs as much as what is learnt."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Protocol

from torch.utils.data import Sampler

from ..tasks import Turn

# Examples are sorted among so many batches of consecutive ones, so that the stream stays as mixed as it was.
WINDOW_BATCHES = 16
# What a turn has besides its words: `[INST]`, `[/INST]`, the closing of the picture, beginning and end.
TURN_TOKENS = 16
# A picture's, roughly: 64 for nano, 256 for 7b.
IMAGE_TOKENS = 64

# Tokenizers keep most words whole and split numbers and markup into signs.
_PIECE = re.compile(r"[^\W\d_]+|\S")


def text_length(turn: Turn) -> int:
    """Return about how many tokens a turn takes, without a tokenizer."""
    return TURN_TOKENS + sum(1 for _ in _PIECE.finditer(f"{turn.user} {turn.answer or ''}"))


class HasLengths(Protocol):
    """A data set that knows how long its examples are before it builds them."""

    def __len__(self) -> int: ...

    def length_of(self, index: int) -> int:
        """Return the length of an example, in any unit."""
        ...


class LengthBuckets(Sampler[int]):
    """Yields every index once, `batch_size` neighbours of about one length; the order is the seed's alone.

    Within each window of 16 batches of consecutive indices, examples are sorted by length, cut into
    batches, and the batches are shuffled. Iterating again gives the same order, so that a run resumes by
    skipping; more examples behind change nothing before them. Where several processes share a step, or
    several batches are accumulated for one, `batch_size` may count them all: then they wait less for one
    another.
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
        # A short batch stays last: those behind it would be cut elsewhere.
        rest = [batches.pop()] if len(batches[-1]) < self.batch_size else []
        random.Random(f"{self.seed}:{indices.start}").shuffle(batches)
        return batches + rest


__all__ = ["IMAGE_TOKENS", "HasLengths", "LengthBuckets", "text_length"]

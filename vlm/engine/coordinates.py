"""Write a box's coordinates as medians of what the model thinks possible, not as its likeliest digits.

A coordinate is spelled digit by digit. Where the model wavers between 38 and 52, the likeliest first digit
may stand for a narrow guess at either side; the median lies between, at no further cost. The first digit is
that in which the median of the coordinate falls, the second the one that is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

# What opens a coordinate, and what may end it, as a tokenizer that keeps digits apart spells them.
_OPENINGS = ("<", "><")
_ENDINGS = ("><", ">")
# Below this share of digits the model is not writing a coordinate.
_SURE = 0.9


class MedianCoordinates:
    """Chooses the tokens of one answer; asked in the order of writing, once for each token."""

    def __init__(self, tokenizer: Any) -> None:
        self._digits: list[int] = [tokenizer.convert_tokens_to_ids(str(digit)) for digit in range(10)]
        self._openings: list[int] = [tokenizer.convert_tokens_to_ids(text) for text in _OPENINGS]
        self._endings: list[int] = [tokenizer.convert_tokens_to_ids(text) for text in _ENDINGS]
        # How much of the first digit's probability lies below the median, 0..1.
        self._below = 0.5

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the next token by logits (vocabulary), with its probability."""
        chances = logits.softmax(-1)
        chosen = self._digit(list(written), chances)
        if chosen is None:
            best = chances.max(-1)
            return int(best.indices), float(best.values)
        return chosen, float(chances[chosen])

    def _digit(self, written: list[int], chances: torch.Tensor) -> int | None:
        if written[-1:] and written[-1] in self._openings:
            return self._first(written, chances)
        if len(written) > 1 and written[-1] in self._digits and written[-2] in self._openings:
            return self._second(written[-1], chances)
        return None

    def _first(self, written: list[int], chances: torch.Tensor) -> int | None:
        shares = chances[self._digits].tolist()
        if sum(shares) < _SURE:
            return None
        order = list(range(10))
        if self._is_far_corner(written) and shares[8] + shares[9] > shares[2] + shares[3]:
            order = [*order[:1], *order[2:], 1]  # a first 1 is that of 100
        digit, self._below = _median([shares[digit] for digit in order], 0.5)
        return self._digits[order[digit]]

    def _second(self, first: int, chances: torch.Tensor) -> int | None:
        ends = chances[self._endings]
        shares = [float(ends.sum()), *chances[self._digits].tolist()]
        if sum(shares) < _SURE or (first == self._digits[1] and shares[1] > 0.5):  # the latter spells 100
            return None
        place, _ = _median(shares, self._below)
        return self._digits[place - 1] if place else self._endings[int(ends.argmax())]

    def _is_far_corner(self, written: list[int]) -> bool:
        """Whether the coordinate that is being opened is a right or bottom one."""
        opened = len(written) - 1 - written[::-1].index(self._openings[0])
        return written[opened:].count(self._openings[1]) >= 2


def _median(shares: list[float], level: float) -> tuple[int, float]:
    """Return where the cumulative share passes a level, and how far into that place, 0..1."""
    wanted, passed = level * sum(shares), 0.0
    for place, share in enumerate(shares):
        if passed + share >= wanted:
            return place, (wanted - passed) / max(share, 1e-9)
        passed += share
    return len(shares) - 1, 1.0


__all__ = ["MedianCoordinates"]

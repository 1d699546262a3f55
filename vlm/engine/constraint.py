"""Constrained decoding: turn choices of text into the tokens that may come next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from ..answers import Choices

Encode = Callable[[str], list[int]]
Decode = Callable[[Sequence[int]], str]


class Chooser(Protocol):
    """Picks the tokens of one row, if not simply the likeliest."""

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the token to write next, given logits (vocabulary), and its probability."""


class Constraint:
    """Restricts one row to its choices; call it once for each token, in order."""

    def __init__(self, choices: Choices, encode: Encode, decode: Decode, end_token: int) -> None:
        self._choices = choices
        self._encode = encode
        self._decode = decode
        self._end = [end_token]
        # The choices being spelled out, and where they start in the answer.
        self._open: list[list[int]] = []
        self._start = 0

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the likeliest allowed token of logits (vocabulary), with its probability."""
        allowed = self.allowed(written)
        if allowed is None:
            best = logits.softmax(-1).max(-1)
            return int(best.indices), float(best.values)
        best = logits[torch.tensor(allowed, device=logits.device)].softmax(-1).max(-1)
        return allowed[int(best.indices)], float(best.values)

    def allowed(self, written: Sequence[int]) -> list[int] | None:
        """Return the tokens that may come next; None for all."""
        begun = list(written[self._start :])
        remaining = [ids for ids in self._open if len(ids) > len(begun) and ids[: len(begun)] == begun]
        if not (begun and remaining):
            self._start, begun = len(written), []
            options = self._choices(self._decode(written))
            self._open = remaining = [self._encode(text) or self._end for text in options or ()]
            if options is None:
                return None
        return sorted({ids[len(begun)] for ids in remaining})

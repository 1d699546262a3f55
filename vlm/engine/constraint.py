"""What may be written next, in tokens: choices in text are spelled out token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from ..answers import Choices

Encode = Callable[[str], list[int]]
Decode = Callable[[Sequence[int]], str]


class Chooser(Protocol):
    """Chooses the tokens of one row, where that is not simply the likeliest."""

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the token to write next, given logits (vocabulary), and its probability."""
        ...


class Constraint:
    """Holds one row to its choices; asked in the order of writing, once for each token."""

    def __init__(self, choices: Choices, encode: Encode, decode: Decode, end_token: int) -> None:
        self._choices = choices
        self._encode = encode
        self._decode = decode
        self._end = [end_token]
        # The choices that are being spelled out, and where that began.
        self._open: list[list[int]] = []
        self._start = 0

    def likeliest(self, written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the likeliest token of logits (vocabulary) that may follow, with its probability."""
        allowed = self.allowed(written)
        if allowed is None:
            best = logits.softmax(-1).max(-1)
            return int(best.indices), float(best.values)
        best = logits[torch.tensor(allowed, device=logits.device)].softmax(-1).max(-1)
        return allowed[int(best.indices)], float(best.values)

    def allowed(self, written: Sequence[int]) -> list[int] | None:
        """Return the tokens that may follow; None for all."""
        begun = list(written[self._start :])
        going_on = [ids for ids in self._open if len(ids) > len(begun) and ids[: len(begun)] == begun]
        if not (begun and going_on):
            self._start, begun = len(written), []
            options = self._choices(self._decode(written))
            self._open = going_on = [self._encode(text) or self._end for text in options or ()]
            if options is None:
                return None
        return sorted({ids[len(begun)] for ids in going_on})


__all__ = ["Chooser", "Constraint"]

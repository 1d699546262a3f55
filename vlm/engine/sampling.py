"""Arithmetic sampling (arXiv 2210.15458): spread sampled answers evenly over the model's distribution.

An answer is the point of [0, 1) where its code lies if the interval is divided among all answers by their
probabilities. Codes at even distances draw a more representative sample than independent draws, and the same
one every time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def even_codes(count: int) -> tuple[float, ...]:
    """Return codes at even distances."""
    return tuple((index + 0.5) / count for index in range(count))


class CodeChooser:
    """Picks the tokens of the answer at a code, 0 <= code < 1; call it once for each token, in order."""

    def __init__(self, code: float) -> None:
        self._code = code

    def likeliest(self, _written: Sequence[int], logits: torch.Tensor) -> tuple[int, float]:
        """Return the token at the code and its probability, given logits (vocabulary)."""
        bounds = logits.double().softmax(-1).cumsum(-1)
        point = self._code * float(bounds[-1])
        token = min(int(torch.searchsorted(bounds, point, right=True)), len(bounds) - 1)
        low = float(bounds[token - 1]) if token else 0.0
        probability = float(bounds[token]) - low
        self._code = min((point - low) / probability, 1.0) if probability else 0.0
        return token, probability


__all__ = ["CodeChooser", "even_codes"]

"""Keys and values of the last few prompts about pictures: a further question is read from where it differs.

A picture takes most of a prompt. What a session asked before about it stands in front of the next question
too, so all of that is read once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

KeysAndValues = tuple[torch.Tensor, torch.Tensor]
"""Of one layer, each (rows, heads, length, width)."""

KEPT_TOKENS = 4096
"""Bounds the memory, over all prompts: 94 MB for nano, 2 GB for a model of 7B in float16."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """The first `ids` (length) of a prompt with a picture, and each layer's keys and values for one row."""

    picture: bytes
    ids: torch.Tensor
    layers: Sequence[KeysAndValues]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, length: int) -> Prefix:
        """Return the first so many tokens of it."""
        layers = [(keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers]
        return Prefix(self.picture, self.ids[:length], layers)


class Prefixes:
    """Keeps prompts with their answers, the latest first; for one thread at a time."""

    def __init__(self) -> None:
        self._kept: deque[Prefix] = deque()

    def know(self, picture: bytes | None) -> bool:
        """Whether any prompt with the picture is kept."""
        return any(kept.picture == picture for kept in self._kept)

    def longest(self, picture: bytes | None, prompt: torch.Tensor) -> Prefix | None:
        """Return the most of a prompt (length) that is known, short of its last token, if the picture is."""
        known = [(_common(kept.ids, prompt), kept) for kept in self._kept if kept.picture == picture]
        if not known:
            return None
        length, best = max(known, key=lambda pair: pair[0])
        self._kept.remove(best)
        self._kept.appendleft(best)
        return best.cut(min(length, len(prompt) - 1))

    def keep(self, prefix: Prefix) -> None:
        """Keep one more, in place of those that it begins with, and let the oldest go."""
        others = [kept for kept in self._kept if not _begins(prefix, kept)]
        self._kept = deque([prefix, *others])
        while len(self._kept) > 1 and sum(map(len, self._kept)) > KEPT_TOKENS:
            self._kept.pop()


def _common(one: torch.Tensor, other: torch.Tensor) -> int:
    """Return how many tokens two sequences begin with alike."""
    length = min(len(one), len(other))
    return int((one[:length] == other[:length]).cumprod(0).sum())


def _begins(longer: Prefix, shorter: Prefix) -> bool:
    return longer.picture == shorter.picture and _common(longer.ids, shorter.ids) == len(shorter)


__all__ = ["KEPT_TOKENS", "KeysAndValues", "Prefix", "Prefixes"]

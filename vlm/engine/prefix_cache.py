"""Prefix cache: keys and values of recent prompts with images, which the next prompt reuses where it agrees.

An image takes up most of a prompt, and a session's earlier turns precede its next question: both are
prefilled only once. Prefixes are cut only after the image, the prompt, or the answer. If they were cut
anywhere, a repeated question would be computed in different steps than the first time, and rounding could
change its answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import torch

KEPT_TOKENS = 4096
"""The most tokens cached over all prompts: 94 MB for nano, 2 GB for a 7B model in float16."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """The first `ids` (length) of a prompt with an image, and their keys and values.

    `states` has the shape (layers, 2, heads, length, width); `ends` are the positions where it may be cut.
    """

    image_hash: bytes
    ids: torch.Tensor
    states: torch.Tensor
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, length: int) -> Prefix:
        """Return its first `length` tokens."""
        return replace(self, ids=self.ids[:length], states=self.states[..., :length, :])


class PrefixCache:
    """Keeps prompts with their answers, the latest first; for use from one thread."""

    def __init__(self) -> None:
        self._kept: deque[Prefix] = deque()

    def has_image(self, image_hash: bytes | None) -> bool:
        """Return whether a prompt with the image is cached."""
        return any(kept.image_hash == image_hash for kept in self._kept)

    def longest(self, image_hash: bytes | None, prompt: torch.Tensor) -> Prefix | None:
        """Return the longest cached beginning of a prompt (length) that it may reuse; None for new images."""
        known = [(_reusable(kept, prompt), kept) for kept in self._kept if kept.image_hash == image_hash]
        length, best = max(known, key=lambda pair: pair[0], default=(0, None))
        if not length or best is None:
            return None
        self._kept.remove(best)
        self._kept.appendleft(best)
        return best.cut(length)

    def add(self, prefix: Prefix) -> None:
        """Add a prompt, replace those that it extends, and drop the oldest."""
        others = [kept for kept in self._kept if not _begins(prefix, kept)]
        self._kept = deque([prefix, *others])
        while len(self._kept) > 1 and sum(map(len, self._kept)) > KEPT_TOKENS:
            self._kept.pop()


def _reusable(kept: Prefix, prompt: torch.Tensor) -> int:
    """Return how many tokens a prompt may reuse, at most all but its last."""
    common = min(_common(kept.ids, prompt), len(prompt) - 1)
    return max((end for end in kept.ends if end <= common), default=0)


def _common(one: torch.Tensor, other: torch.Tensor) -> int:
    """Return the length of the common prefix of two sequences."""
    length = min(len(one), len(other))
    return int((one[:length] == other[:length]).cumprod(0).sum())


def _begins(longer: Prefix, shorter: Prefix) -> bool:
    return longer.image_hash == shorter.image_hash and _common(longer.ids, shorter.ids) == len(shorter)

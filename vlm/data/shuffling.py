"""Shuffled passes over any number of things, without a list of them: where an index falls is computed."""

from __future__ import annotations

import hashlib


def shuffled(index: int, count: int, seed: int) -> int:
    """Return which of `count` things comes at an index: each comes once in every `count` indices.

    A Feistel network of four rounds permutes the numbers of as many bits as are needed; a number that is too
    large is permuted again until it is not (cycle walking; Black and Rogaway, 2002).
    """
    epoch, position = divmod(index, count)
    half = max(1, -(-(count - 1).bit_length() // 2))
    while True:
        position = _permuted(position, half, f"{seed}:{epoch}".encode())
        if position < count:
            return position


def _permuted(number: int, half: int, key: bytes) -> int:
    left, right = number >> half, number & ((1 << half) - 1)
    for round_ in range(4):
        digest = hashlib.blake2b(b"%d:%d" % (round_, right), key=key[:64], digest_size=8).digest()
        left, right = right, left ^ (int.from_bytes(digest) & ((1 << half) - 1))
    return left << half | right


__all__ = ["shuffled"]

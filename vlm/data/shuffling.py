"""Shuffle any number of items by computing each position, without a list."""

from __future__ import annotations

import hashlib


def shuffled(index: int, count: int, seed: int) -> int:
    """Return which of `count` items comes at an index: every pass of `count` indices has each item once.

    A Feistel network of four rounds permutes numbers of enough bits; numbers that are too large are permuted
    again (cycle walking; Black and Rogaway, 2002).
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

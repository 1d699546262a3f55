"""From the tokens that captions are published in to the text that people write."""

from __future__ import annotations

import re

_SPACE_BEFORE_SIGN = re.compile(r" (?=[.,;:!?](?: |$))| (?='s\b)")


def close_up(text: str) -> str:
    """Take away the space that tokens leave before a sign: "a dog 's ball ." -> "a dog's ball."."""
    return _SPACE_BEFORE_SIGN.sub("", text)


def joined(caption: str) -> str:
    """Return a tokenised caption as people write it: no space before a sign, no full stop at its end."""
    return close_up(" ".join(caption.split())).removesuffix(".").rstrip()


def joined_span(caption: str, start: int, end: int) -> tuple[int, int]:
    """Return where the characters `[start, end)` of a tokenised caption stand in the `joined` one.

    Raises:
        ValueError: there are no words between them.
    """
    whole = joined(caption)
    before, until = (close_up(" ".join(caption[:place].split())) for place in (start, end))
    first = len(before) + whole[len(before) :].startswith(" ")
    last = min(len(until), len(whole))
    if not 0 <= start < end <= len(caption) or first >= last:
        raise ValueError(f"span: ({start}, {end}) holds no words of {caption!r}")
    return first, last


__all__ = ["close_up", "joined", "joined_span"]

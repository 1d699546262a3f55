"""From the tokens that captions are published in to the text that people write."""

from __future__ import annotations

import re

_SPACE_BEFORE_SIGN = re.compile(r" (?=[.,;:!?](?: |$))| (?='s\b)")


def join_punctuation(text: str) -> str:
    """Take away the space that tokens leave before a sign: "a dog 's ball ." -> "a dog's ball."."""
    return _SPACE_BEFORE_SIGN.sub("", text)


def detokenise(caption: str) -> str:
    """Return a tokenised caption as people write it: no space before a sign, no full stop at its end."""
    return join_punctuation(" ".join(caption.split())).removesuffix(".").rstrip()


def detokenised_span(caption: str, start: int, end: int) -> tuple[int, int]:
    """Return where the characters `[start, end)` of a tokenised caption stand in the `detokenise` one.

    Raises:
        ValueError: there are no words between them.
    """
    whole = detokenise(caption)
    before, until = (join_punctuation(" ".join(caption[:place].split())) for place in (start, end))
    first = len(before) + whole[len(before) :].startswith(" ")
    last = min(len(until), len(whole))
    if not 0 <= start < end <= len(caption) or first >= last:
        raise ValueError(f"span: ({start}, {end}) holds no words of {caption!r}")
    return first, last


__all__ = ["detokenise", "detokenised_span", "join_punctuation"]

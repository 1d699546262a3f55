"""Turn tokenised captions back into ordinary text."""

from __future__ import annotations

import re

_SPACE_BEFORE_SIGN = re.compile(r" (?=[.,;:!?](?: |$))| (?='s\b)")


def join_punctuation(text: str) -> str:
    """Remove the space before punctuation: "a dog 's ball ." -> "a dog's ball."."""
    return _SPACE_BEFORE_SIGN.sub("", text)


def detokenise(caption: str) -> str:
    """Return a tokenised caption as ordinary text, without the final full stop."""
    return join_punctuation(" ".join(caption.split())).removesuffix(".").rstrip()


def detokenised_span(caption: str, start: int, end: int) -> tuple[int, int]:
    """Map the characters `[start, end)` of a tokenised caption to its `detokenise` text.

    Raises:
        ValueError: the span holds no words.
    """
    whole = detokenise(caption)
    before, until = (join_punctuation(" ".join(caption[:place].split())) for place in (start, end))
    first = len(before) + whole[len(before) :].startswith(" ")
    last = min(len(until), len(whole))
    if not 0 <= start < end <= len(caption) or first >= last:
        raise ValueError(f"span: ({start}, {end}) holds no words of {caption!r}")
    return first, last

"""Boxes that a person typed into a message, in whatever notation.

Read are the model's own form, four numbers with or without brackets, labels and units, a corner with a width
and a height, and sides by name ("x 20 to 45, y 30 to 90"). Fractions are taken of the picture where no number
is above 1 and at least one is not whole. Numbers above 100 are pixels, which needs the picture's size. All
others are hundredths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .grounding import BINS, Box, find_boxes

MOST_REGIONS = 9
# A box in pixels may stick out of the picture by so much.
_BEYOND = 1.1

_UNIT = r"\s?(?:%|px\b|pixels?\b)?"
_PLAIN = rf"(-?\d{{1,5}}(?:\.(?!\.)\d{{1,6}})?){_UNIT}"
_NAME = (
    r"(?:[\"']?(?:[xy]\s?_?(?:[0-3]|min|max)?|[ltrb]|tl|br|top|bottom|upper|lower|left|right|corner|start|end)"
    r"[\"']?(?![a-z])[\s-]?)"
)
_LABEL = rf"(?:{_NAME}{{1,3}}\s?(?:[=:]|is\b|of\b|at\b)?\s{{0,2}})?"
_NUMBER = rf"{_LABEL}[<(\[]?{_PLAIN}[>)\]]?"
_BETWEEN = (
    r"(?:\s{0,2}(?:[,;:/|\u2013\u2014-]|\b(?:to|and|through|until|by|comma)\b)\s{0,2}(?:(?:to|and)\b\s{0,2})?"
    r"|\s{1,2}|(?=[<(\[]))"
)
_OPEN, _CLOSE = r"[{\[(<]{0,2}\s?", r"\s?[}\])>]{0,2}"
_CORNERS = re.compile(
    rf"(?<![\w.]){_OPEN}(?:from\s)?{_BETWEEN.join([_NUMBER] * 4)}(?![\w.]*\d){_CLOSE}", re.IGNORECASE
)
# "640x120 to 900x400"
_CROSSED = re.compile(
    rf"(?<![\w.]){_OPEN}{_PLAIN}[x\u00d7]{_PLAIN}\s?(?:to|-|\u2013)\s?{_PLAIN}[x\u00d7]{_PLAIN}{_CLOSE}",
    re.IGNORECASE,
)
# "x=12 y=40 w=25 h=30"
_SIZED = re.compile(
    r"(?<!\w)x\s?[=:]?\s?{0},?\s?y\s?[=:]?\s?{0},?\s?w(?:idth)?\s?[=:]?\s?{0},?\s?h(?:eight)?\s?[=:]?\s?{0}".replace(
        "{0}", _PLAIN
    ),
    re.IGNORECASE,
)
_TO = r"\s?(?:to|and|-|\.\.+|,|\u2013)\s?"
_RANGE = (
    r"\s?(?:axis|range)?\s{0,2}[=:]?\s?(?:(?:is|from|between|in)\s)?"
    rf"{_OPEN}{_PLAIN}{_TO}(?:[xy]\s?[=:]\s?)?{_PLAIN}{_CLOSE}"
)
_JOIN = r"\s?(?:,|;|and|with|&|/|by|x)?\s{0,2}(?:and\s)?"
# "x 20 to 45, y 30 to 90"; "10% to 40% across and 20% to 70% down"; "12..48 by 30..77"
_SIDES = re.compile(rf"(?<!\w){_OPEN}\b([xy]){_RANGE}{_JOIN}\b([xy]){_RANGE}", re.IGNORECASE)
_NAMED_SIDES = re.compile(
    rf"(?<!\w)(?:(?:from|between)\s)?{_PLAIN}{_TO}{_PLAIN}\s(across|horizontal\w*|down|vertical\w*){_JOIN}"
    rf"(?:(?:from|between)\s)?{_PLAIN}{_TO}{_PLAIN}\s(across|horizontal\w*|down|vertical\w*)",
    re.IGNORECASE,
)
_DOTTED = re.compile(rf"(?<![\w.]){_OPEN}{_PLAIN}\.\.+{_PLAIN}{_JOIN}{_PLAIN}\.\.+{_PLAIN}{_CLOSE}")

Corners = tuple[str, str, str, str]


def typed_regions(text: str, size: tuple[int, int] | None = None) -> tuple[str, list[Box]]:
    """Return a text with `T1`, `T2` .. in the place of the boxes typed in it, and those boxes.

    `size` is the picture's width and height in pixels; without it, numbers above 100 are no box.
    """
    boxes: list[Box] = []
    pieces: list[str] = []
    cursor = 0
    for start, end, box in sorted(_spans(text, size), key=lambda span: (span[0], -span[1])):
        if start >= cursor and len(boxes) < MOST_REGIONS:
            boxes.append(box)
            pieces += [text[cursor:start], _apart(text[:start], f"T{len(boxes)}", text[end:])]
            cursor = end
    return "".join([*pieces, text[cursor:]]), boxes


def _apart(before: str, symbol: str, after: str) -> str:
    """Return the symbol with the blanks that it needs to stand as a word."""
    opening = " " if before and before[-1].isalnum() else ""
    return f"{opening}{symbol}{' ' if after[:1].isalnum() else ''}"


def _spans(text: str, size: tuple[int, int] | None) -> Iterator[tuple[int, int, Box]]:
    yield from ((span.start, span.end, span.box) for span in find_boxes(text))
    for match, corners in _typed(text):
        box = _box([float(value) for value in corners], size)
        if box is not None:
            found = match[0]
            leading, trailing = len(found) - len(found.lstrip()), len(found) - len(found.rstrip())
            yield match.start() + leading, match.end() - trailing, box


def _typed(text: str) -> Iterator[tuple[re.Match[str], Corners]]:
    """Yield what looks like a box, with the corners that are meant."""
    for match in _SIDES.finditer(text):
        first, a, b, second, c, d = match.groups()
        if first.lower() != second.lower():
            yield match, (a, c, b, d) if first.lower() == "x" else (c, a, d, b)
    for match in _NAMED_SIDES.finditer(text):
        a, b, first, c, d, second = match.groups()
        across = [word[0].lower() in "ah" for word in (first, second)]
        if across[0] != across[1]:
            yield match, (a, c, b, d) if across[0] else (c, a, d, b)
    for match in _DOTTED.finditer(text):
        a, b, c, d = match.groups()
        yield match, (a, c, b, d)
    for match in _SIZED.finditer(text):
        x, y, width, height = map(float, match.groups())
        yield match, (str(x), str(y), str(x + width), str(y + height))
    for pattern in (_CORNERS, _CROSSED):
        for match in pattern.finditer(text):
            a, b, c, d = match.groups()
            yield match, (a, b, c, d)


def _box(corners: list[float], size: tuple[int, int] | None) -> Box | None:
    """Return four typed numbers as a box, None where they cannot be one."""
    if any(value < 0 for value in corners):
        return None
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    if x0 == x1 or y0 == y1:
        return None
    if max(corners) <= 1:
        return Box.from_fractions(x0, y0, x1, y1) if any(value % 1 for value in corners) else None
    if max(corners) <= BINS:
        return Box(*(round(value) for value in (x0, y0, x1, y1)))
    if size is None or x0 >= size[0] or y0 >= size[1] or x1 > _BEYOND * size[0] or y1 > _BEYOND * size[1]:
        return None
    return Box.from_pixels(x0, y0, x1, y1, *size)


__all__ = ["typed_regions"]

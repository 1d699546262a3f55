"""Parse boxes that a person typed into a message, in any common notation.

These are the model's own form, four numbers with or without brackets, labels and units, a corner with width
and height, and sides by name ("x 20 to 45, y 30 to 90"). Numbers are fractions of the image if none is above
1 and at least one is not whole. They are pixels if the text says so, if one is above 100 or has a decimal
point, as in `box` of `--json`; this needs the image's size. All others are hundredths, as in `bins`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import AssistantError
from .grounding import BINS, Box, find_boxes
from .regions import check_order, pixel_box

MOST_REGIONS = 9

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

# The unit of all four numbers: inside the box, before or after it.
_PIXELS = re.compile(r"(?<![a-z])(?:px|pixels?)\b", re.IGNORECASE)
_PIXELS_BEFORE = re.compile(r"\b(?:px|pixels?)(?:\s(?:box|region))?[\s:=]{0,3}\Z", re.IGNORECASE)
_PIXELS_AFTER = re.compile(r"\s{0,2}\(?(?:in\s)?(?:px|pixels?)\b\)?", re.IGNORECASE)
# Numbers with brackets, names, a unit or four decimal points are certainly a box; others may be anything.
_CERTAIN = re.compile(
    r"\A[\[({<].*[\])}>]\Z|%|px|pixel|[a-z]\d?[\"']?\s?[=:]|\b[xy]\b|across|horizontal|down|vertical",
    re.IGNORECASE | re.DOTALL,
)
# A number that is not part of a name: "[x0, y0, x1, y1]" has none.
_NUMBER_ALONE = re.compile(r"(?<![a-z\d])\d", re.IGNORECASE)


@dataclass(frozen=True)
class _Typed:
    """Four numbers that look like a box, at `start:end` of the text."""

    start: int
    end: int
    written: str
    corners: tuple[float, float, float, float]
    pixels: bool

    @property
    def meant(self) -> bool:
        """Whether they are certainly a box, and not a phone number, say."""
        certain = _CERTAIN.search(self.written) or self.written.count(".") >= len(self.corners)
        return bool(certain and _NUMBER_ALONE.search(self.written))

    def read(self, size: tuple[int, int] | None) -> Box | None:
        """Return the box, or None if it needs the image's size.

        Raises:
            ValueError: the numbers are not a box within the image.
        """
        whole = all(value == int(value) for value in self.corners)
        if not self.pixels and not whole and min(self.corners) >= 0 and max(self.corners) <= 1:
            return Box.from_fractions(*self.corners)
        if self.pixels or max(self.corners) <= 1:
            return None if size is None else pixel_box(self.corners, *size)
        (x0, x1), (y0, y1) = sorted(self.corners[::2]), sorted(self.corners[1::2])
        if x0 == x1 or y0 == y1:
            raise ValueError(f"{self.written} has no area: give left, top, right and bottom edge")
        if min(x0, y0) < 0 or max(x1, y1) > BINS:
            raise ValueError(f"{self.written} lies outside of the image, whose far corner is 100, 100")
        return Box(*(round(value) for value in (x0, y0, x1, y1)))


def typed_regions(text: str, size: tuple[int, int] | None = None) -> tuple[str, list[Box]]:
    """Return a text with its typed boxes replaced by `T1`, `T2` .., and those boxes.

    `size` is the image's width and height in pixels; without it, boxes in pixels are skipped, as are boxes
    outside of the image (see `check_typed_regions`).

    >>> typed_regions("is [10, 20, 40, 60] red?")
    ('is T1 red?', [Box(x0=10, y0=20, x1=40, y1=60, score=None)])
    """
    found = _boxes(text, size)
    return _replaced(text, found, [f"T{number}" for number in range(1, len(found) + 1)]), [
        box for _, _, box in found
    ]


def in_hundredths(text: str, size: tuple[int, int] | None = None) -> str:
    """Return a text with its typed boxes converted to hundredths of the image.

    >>> in_hundredths("what is in 64,96,256,288?", size=(640, 480))
    'what is in [10, 20, 40, 60]?'
    """
    found = _boxes(text, size)
    return _replaced(text, found, [str(list(box.bins)) for _, _, box in found])


def check_typed_regions(text: str, size: tuple[int, int] | None = None) -> None:
    """Refuse a text with a typed box that is invalid or outside of the image.

    Raises:
        AssistantError: one line with the error and the remedy.
    """
    read = [(start, end) for start, end, _ in _boxes(text, size)]
    for typed in filter(lambda it: it.meant, _typed(text)):
        try:
            if (typed.start, typed.end) in read:
                check_order(*typed.corners)
            elif all(typed.end <= start or end <= typed.start for start, end in read):
                typed.read(size)
        except ValueError as error:
            raise AssistantError(str(error)) from error


def wants_size(text: str) -> bool:
    """Return whether the text has a typed box that needs the image's size."""
    return any(typed.pixels and typed.meant for typed in _typed(text))


def _replaced(text: str, found: list[tuple[int, int, Box]], words: list[str]) -> str:
    pieces: list[str] = []
    cursor = 0
    for (start, end, _), word in zip(found, words, strict=True):
        pieces += [text[cursor:start], _apart(text[:start], word, text[end:])]
        cursor = end
    return "".join([*pieces, text[cursor:]])


def _apart(before: str, symbol: str, after: str) -> str:
    """Return the symbol with the spaces that separate it from adjacent words."""
    opening = " " if before and before[-1].isalnum() else ""
    return f"{opening}{symbol}{' ' if after[:1].isalnum() else ''}"


def _boxes(text: str, size: tuple[int, int] | None) -> list[tuple[int, int, Box]]:
    """Return the boxes with their spans in the text, in order, without overlaps."""
    found: list[tuple[int, int, Box]] = []
    for start, end, box in sorted(_spans(text, size), key=lambda span: (span[0], -span[1])):
        if (not found or start >= found[-1][1]) and len(found) < MOST_REGIONS:
            found.append((start, end, box))
    return found


def _spans(text: str, size: tuple[int, int] | None) -> Iterator[tuple[int, int, Box]]:
    yield from ((span.start, span.end, span.box) for span in find_boxes(text))
    for typed in _typed(text):
        try:
            box = typed.read(size)
        except ValueError:
            continue
        if box is not None:
            yield typed.start, typed.end, box


def _typed(text: str) -> Iterator[_Typed]:
    """Yield everything that looks like a box."""
    for match, numbers, corners in _matches(text):
        found = match[0]
        start = match.start() + len(found) - len(found.lstrip())
        end = match.end() - len(found) + len(found.rstrip())
        unit_after = _PIXELS_AFTER.match(text[end:])
        unit = unit_after or _PIXELS.search(found) or _PIXELS_BEFORE.search(text[:start])
        end += unit_after.end() if unit_after else 0
        values = tuple(float(number) for number in numbers)
        like_pixels = "." in "".join(numbers) or max(*corners, *values) > BINS
        pixels = bool(unit) or ("%" not in text[start : end + 2] and max(values) > 1 and like_pixels)
        yield _Typed(start, end, text[start:end], corners, pixels)


def _matches(text: str) -> Iterator[tuple[re.Match[str], list[str], tuple[float, float, float, float]]]:
    """Yield each match, its numbers as typed, and its corners."""
    for match in _SIDES.finditer(text):
        first, a, b, second, c, d = match.groups()
        if first.lower() != second.lower():
            yield _cornered(match, (a, c, b, d) if first.lower() == "x" else (c, a, d, b))
    for match in _NAMED_SIDES.finditer(text):
        a, b, first, c, d, second = match.groups()
        across = [word[0].lower() in "ah" for word in (first, second)]
        if across[0] != across[1]:
            yield _cornered(match, (a, c, b, d) if across[0] else (c, a, d, b))
    for match in _DOTTED.finditer(text):
        a, b, c, d = match.groups()
        yield _cornered(match, (a, c, b, d))
    for match in _SIZED.finditer(text):
        x, y, width, height = map(float, match.groups())
        yield match, list(match.groups()), (x, y, x + width, y + height)
    for pattern in (_CORNERS, _CROSSED):
        for match in pattern.finditer(text):
            a, b, c, d = match.groups()
            yield _cornered(match, (a, b, c, d))


def _cornered(
    match: re.Match[str], typed: tuple[str, str, str, str]
) -> tuple[re.Match[str], list[str], tuple[float, float, float, float]]:
    x0, y0, x1, y1 = map(float, typed)
    return match, list(typed), (x0, y0, x1, y1)

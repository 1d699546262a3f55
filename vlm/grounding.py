"""Boxes, grounded text, and the format that the model writes them in.

Coordinates are whole numbers 0..100 of the image's width and height ("bins"), written
`{<x0><y0><x1><y1>}`; `<delim>` joins several boxes of one phrase; `<p>` and `</p>` enclose a phrase (arXiv
2310.09478, section 2.2). Pixels are floats with the origin at the top left corner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

BINS = 100
DELIMITER = "<delim>"


@dataclass(frozen=True)
class Box:
    """A box in bins 0..100, `x0 <= x1` and `y0 <= y1`; `score` is a probability 0..1, or None if unknown.

    >>> Box(10, 20, 50, 100).to_pixels(width=200, height=100)
    (20.0, 20.0, 100.0, 100.0)
    """

    x0: int
    y0: int
    x1: int
    y1: int
    score: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not (0 <= self.x0 <= self.x1 <= BINS and 0 <= self.y0 <= self.y1 <= BINS):
            raise ValueError(f"not a box within 0..{BINS}: {self.bins}")
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a box's score lies in 0..1, not {self.score}")

    @classmethod
    def from_fractions(cls, x0: float, y0: float, x1: float, y1: float, score: float | None = None) -> Box:
        """Build a box from fractions 0..1 of width and height, in any corner order, clipped to the image.

        Bins truncate like the reference's `int(value * 100)`.
        """
        left, right = sorted((_bin(x0), _bin(x1)))
        top, bottom = sorted((_bin(y0), _bin(y1)))
        return cls(left, top, right, bottom, score)

    @classmethod
    def from_pixels(cls, x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Box:
        """Build a box from pixels of an image of `width` x `height`.

        >>> Box.from_pixels(20, 20, 100, 100, width=200, height=100).bins
        (10, 20, 50, 100)
        """
        return cls.from_fractions(x0 / width, y0 / height, x1 / width, y1 / height)

    @property
    def bins(self) -> tuple[int, int, int, int]:
        """`(x0, y0, x1, y1)` in 0..100."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def area(self) -> int:
        """Area in square bins."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def to_pixels(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return `(x0, y0, x1, y1)` in pixels of an image of `width` x `height`."""
        x0, y0, x1, y1 = self.bins
        return x0 * width / BINS, y0 * height / BINS, x1 * width / BINS, y1 * height / BINS

    def iou(self, other: Box) -> float:
        """Return intersection over union, 0..1; 0 if both boxes are empty.

        >>> Box(0, 0, 10, 10).iou(Box(0, 0, 10, 20))
        0.5
        """
        return intersection_over_union(self.bins, other.bins)

    def with_score(self, score: float | None) -> Box:
        """Return the same box with another score."""
        return replace(self, score=score)

    def __rich_repr__(self) -> Iterator[object]:
        yield from self.bins
        yield "score", self.score, None


@dataclass(frozen=True)
class GroundedPhrase:
    """A phrase and its boxes; `text` is empty for boxes that the model wrote without a phrase.

    `start` is where the phrase begins in `GroundedText.text`, in characters.

    >>> GroundedPhrase("a dog", (Box(0, 0, 50, 50),), start=10).end
    15
    """

    text: str
    boxes: tuple[Box, ...]
    start: int = field(default=0, compare=False)

    @property
    def end(self) -> int:
        """Where the phrase ends in `GroundedText.text`."""
        return self.start + len(self.text)

    def __rich_repr__(self) -> Iterator[object]:
        yield self.text
        yield from self.boxes


@dataclass(frozen=True)
class GroundedText:
    """Text without markup, its grounded phrases in reading order, and the model's raw text.

    >>> parse("<p>a dog</p>{<1><2><3><4>} and <p>a cat</p>{<5><6><7><8>}").boxes[1].bins
    (5, 6, 7, 8)
    """

    text: str
    phrases: tuple[GroundedPhrase, ...] = ()
    raw: str = field(default="", compare=False)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every box, in the order written."""
        return tuple(box for phrase in self.phrases for box in phrase.boxes)

    @property
    def distinct_boxes(self) -> tuple[Box, ...]:
        """The boxes without exact repeats, which a small model may write."""
        return tuple(dict.fromkeys(self.boxes))


@dataclass(frozen=True)
class BoxSpan:
    """A box and the characters `start:end` of the text that spell it."""

    box: Box
    start: int
    end: int


def intersection_over_union(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the IoU of two `(x0, y0, x1, y1)` boxes in one unit; 0 if the union is empty."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    intersection = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    union = sum(areas) - intersection
    return intersection / union if union > 0 else 0.0


def with_scores(grounded: GroundedText, scores: Sequence[float | None]) -> GroundedText:
    """Return the text with a score for each of its boxes, in the order written."""
    remaining = iter(scores)
    phrases = tuple(
        replace(phrase, boxes=tuple(box.with_score(next(remaining)) for box in phrase.boxes))
        for phrase in grounded.phrases
    )
    return replace(grounded, phrases=phrases)


# --- writing ---------------------------------------------------------------------------------------------


def format_box(box: Box) -> str:
    """Write a box as the model does: `{<x0><y0><x1><y1>}`."""
    return "{" + "".join(f"<{value}>" for value in box.bins) + "}"


def format_boxes(boxes: Iterable[Box]) -> str:
    """Write the boxes of one phrase, joined by `<delim>`."""
    return DELIMITER.join(format_box(box) for box in boxes)


def format_detection(phrases: Iterable[GroundedPhrase]) -> str:
    """Write a `[detection]` answer: `<p>phrase</p> {..}<delim>{..}`, one group a phrase.

    >>> format_detection([GroundedPhrase("dogs", (Box(1, 2, 3, 4), Box(5, 6, 7, 8)))])
    '<p>dogs</p> {<1><2><3><4>}<delim>{<5><6><7><8>}'
    """
    return " ".join(f"<p>{phrase.text}</p> {format_boxes(phrase.boxes)}" for phrase in phrases)


def format_grounded(grounded: GroundedText) -> str:
    """Write grounded text in the form that `[grounding]` is trained on: `<p>phrase</p>{..}` in the sentence.

    Raises:
        ValueError: a phrase has no boxes, overlaps the one before, or is not what the text says there.
    """
    pieces: list[str] = []
    cursor = 0
    for phrase in grounded.phrases:
        if phrase.start < cursor or grounded.text[phrase.start : phrase.end] != phrase.text:
            raise ValueError(f"phrase {phrase.text!r} does not stand at {phrase.start} in {grounded.text!r}")
        if not phrase.boxes:
            raise ValueError(f"phrase {phrase.text!r} has no box")
        marked = f"<p>{phrase.text}</p>" if phrase.text else ""
        pieces += [grounded.text[cursor : phrase.start], marked, format_boxes(phrase.boxes)]
        cursor = phrase.end
    return "".join(pieces) + grounded.text[cursor:]


# --- reading ---------------------------------------------------------------------------------------------

_NUMBER = r"<\s{0,2}(-?\d{1,4})\s{0,2}>\s{0,2}"
_TAG = r"</?p>|<delim>"
# Every repetition is bounded and no two alternatives compete for a character, so that any text is read in
# linear time. A brace that opens a malformed box is markup to drop; it ends before the next tag, and keeps
# the space after it.
_BROKEN = r"\{\s{0,2}(?=<\s{0,2}(?:[-\d]|\Z))" + rf"(?:\s{{0,2}}(?!{_TAG})[-<>\d]){{1,48}}\}}?"
_TOKEN = re.compile(
    rf"(?P<box>\{{\s{{0,2}}{_NUMBER * 4}\}})"
    rf"|(?P<broken>{_BROKEN})"
    r"|(?P<delimiter><delim>)"
    r"|(?P<open><p>)"
    r"|(?P<close></p>)"
)


def find_boxes(text: str) -> list[BoxSpan]:
    """Return every readable box in `text` with its position; never raises.

    Swapped corners are put in order; a box that exceeds the image is clipped (the reference writes -1 or 110
    for such); one that lies wholly outside, or is malformed, is left out.
    """
    spans = ((_read(match), match) for match in _TOKEN.finditer(text) if match["box"])
    return [BoxSpan(box, match.start(), match.end()) for box, match in spans if box is not None]


def parse(text: str) -> GroundedText:
    """Read the model's text: markup removed, phrases with their boxes; never raises, in linear time.

    >>> grounded = parse("<p>a dog</p>{<1><2><30><40>} runs")
    >>> grounded.text
    'a dog runs'
    >>> [(phrase.text, phrase.boxes[0].bins) for phrase in grounded.phrases]
    [('a dog', (1, 2, 30, 40))]
    """
    return _Reader().read(text)


def is_well_formed_box(text: str) -> bool:
    """Return whether `text` is exactly one box as training writes it, within 0..100 and corners in order.

    >>> is_well_formed_box("{<1><2><3><4>}"), is_well_formed_box("{<3><2><1><4>}")
    (True, False)
    """
    return [format_box(span.box) for span in find_boxes(text)] == [text]


@dataclass
class _Group:
    """A phrase's position in the text so far, and its boxes."""

    start: int
    end: int
    boxes: list[Box] = field(default_factory=list)


class _Reader:
    """The parser's state: the words so far, the position of an open `<p>`, the group of the next box."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._open: int | None = None
        self._group: _Group | None = None
        self._groups: list[_Group] = []

    def read(self, text: str) -> GroundedText:
        cursor = 0
        for match in _TOKEN.finditer(text):
            between, kind = text[cursor : match.start()], match.lastgroup
            # Markup alone: the space of `<p>phrase</p> {..}`, or between the boxes of one phrase.
            markup = self._group is not None and kind in ("box", "broken", "delimiter") and between.isspace()
            if not markup:
                self._write(between)
            self._take(kind, match)
            cursor = match.end()
        self._write(text[cursor:])
        plain = "".join(self._pieces)
        phrases = (
            GroundedPhrase(plain[group.start : group.end], tuple(group.boxes), group.start)
            for group in self._groups
            if group.boxes
        )
        return GroundedText(plain, tuple(phrases), text)

    def _write(self, words: str) -> None:
        if words:
            self._group = None
            self._pieces.append(words)
            self._length += len(words)

    def _take(self, kind: str | None, match: re.Match[str]) -> None:
        if kind == "open":
            self._open, self._group = self._length, None
        elif kind == "close" and self._open is not None:
            self._close_phrase()
        elif kind == "box" and (box := _read(match)) is not None:
            if self._open is not None:  # `</p>` is missing: the phrase ends where its box begins
                self._close_phrase(trim=True)
            group = self._group or self._start_group(self._length, self._length)
            group.boxes.append(box)

    def _close_phrase(self, *, trim: bool = False) -> None:
        start, self._open = self._open or 0, None
        last = self._pieces[-1] if trim and self._length > start else ""
        self._start_group(start, self._length - len(last) + len(last.rstrip()))

    def _start_group(self, start: int, end: int) -> _Group:
        self._group = group = _Group(start, max(start, end))
        self._groups.append(group)
        return group


def _bin(fraction: float) -> int:
    return max(0, min(BINS, int(fraction * BINS)))


def _read(match: re.Match[str]) -> Box | None:
    x0, y0, x1, y1 = (int(value) for value in match.groups()[1:5])
    (x0, x1), (y0, y1) = sorted((x0, x1)), sorted((y0, y1))
    if x1 < 0 or y1 < 0 or x0 > BINS or y0 > BINS:
        return None
    return Box(max(x0, 0), max(y0, 0), min(x1, BINS), min(y1, BINS))

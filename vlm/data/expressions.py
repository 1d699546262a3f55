"""Build referring expressions that mean exactly one box from detected objects.

Weak grounding in the spirit of GRIT. The rules abstain when in doubt: the detector is unsure, a second box
fits the phrase, or two boxes are side by side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from ..grounding import Box, intersection_over_union
from .colours import dominant_colour
from .nouns import noun_phrases
from .photos import DetectedObject, Photo

# The score from which a detection is mostly right ...
CONFIDENT = 0.5
# ... and from which it may be right, so that the class name is no longer unique.
RIVAL = 0.25
# Boxes of one class with a higher IoU are one object.
SAME_THING = 0.6
# Minimum distance of box centres, in fractions of the width, for "left" and "right".
APART = 0.15
# An object has a colour that covers at least this share of it ...
DOMINANT_SHARE = 0.6
# ... and differs from others in it if it covers at most this share of them.
ABSENT_SHARE = 0.1
# The photo's `name` means an object that covers its centre and at least this share of it.
NAMED_AREA = 0.1


class ExpressionKind(StrEnum):
    """How an expression identifies its box."""

    CLASS = "class"  # "the dog", the only one
    CAPTION = "caption"  # "the girl", a noun that the captions agree on
    NAME = "name"  # the photo's `name`
    SIDE = "side"  # "the dog on the left"
    COLOUR = "colour"  # "the black dog" next to a brown one, "the person in red"


@dataclass(frozen=True)
class Expression:
    """A referring expression without its article, and its box."""

    text: str
    box: Box
    kind: ExpressionKind
    label: str

    @property
    def definite(self) -> str:
        """The expression with its article."""
        return f"the {self.text}"


def expressions(photo: Photo) -> list[Expression]:
    """Return the photo's referring expressions, empty if every rule abstains."""
    found: list[Expression] = []
    for label in photo.labels:
        things = distinct(photo, label)
        if len(things) == 1 and things[0].score >= CONFIDENT:
            found += _unique(photo, things[0])
        elif 2 <= len(things) <= 4 and all(item.score >= CONFIDENT for item in things):
            found += _sides(things) + _colours(things)
    return found


def distinct(photo: Photo, label: str) -> list[DetectedObject]:
    """Return the possible objects of a class, left to right, without near duplicates."""
    kept: list[DetectedObject] = []
    for item in sorted(photo.objects, key=lambda item: -item.score):
        if item.label != label or item.score < RIVAL:
            continue
        if all(intersection_over_union(item.box, other.box) < SAME_THING for other in kept):
            kept.append(item)
    return sorted(kept, key=_centre)


def to_box(item: DetectedObject) -> Box:
    """Return the object's box in bins."""
    return Box.from_fractions(*item.box)


def agreed_noun(photo: Photo, label: str) -> str | None:
    """Return the noun for a class that most captions use, at least two of them, None on a tie."""
    captions = [
        {phrase.noun for phrase in noun_phrases(text) if phrase.label == label} for text in photo.captions
    ]
    counts = Counter(noun for nouns in captions for noun in nouns).most_common(2)
    if not counts or counts[0][1] < 2 or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _unique(photo: Photo, item: DetectedObject) -> list[Expression]:
    box = to_box(item)
    found = [Expression(item.label, box, ExpressionKind.CLASS, item.label)]
    noun = agreed_noun(photo, item.label)
    if noun is not None and noun != item.label:
        found.append(Expression(noun, box, ExpressionKind.CAPTION, item.label))
    if photo.name is not None and _is_main_subject(photo, item):
        found = [Expression(photo.name, box, ExpressionKind.NAME, item.label)]
    return found


def _is_main_subject(photo: Photo, item: DetectedObject) -> bool:
    x0, y0, x1, y1 = item.box
    central = x0 < 0.5 < x1 and y0 < 0.5 < y1
    alone = sum(other.score >= CONFIDENT for other in photo.objects) == 1
    return central and alone and (x1 - x0) * (y1 - y0) >= NAMED_AREA


def _sides(things: list[DetectedObject]) -> list[Expression]:
    found = []
    if _centre(things[1]) - _centre(things[0]) >= APART:
        found.append(_side(things[0], "left"))
    if _centre(things[-1]) - _centre(things[-2]) >= APART:
        found.append(_side(things[-1], "right"))
    return found


def _side(item: DetectedObject, side: str) -> Expression:
    return Expression(f"{item.label} on the {side}", to_box(item), ExpressionKind.SIDE, item.label)


def _colours(things: list[DetectedObject]) -> list[Expression]:
    """Return expressions by a colour that covers most of one object and almost none of the others."""
    found = []
    if not all(item.colours for item in things):
        return []
    for item in things:
        colour = dominant_colour(item, DOMINANT_SHARE)
        others = [other.colours.get(colour or "", 0.0) for other in things if other is not item]
        if colour is not None and max(others) <= ABSENT_SHARE:
            text = f"person in {colour}" if item.label == "person" else f"{colour} {item.label}"
            found.append(Expression(text, to_box(item), ExpressionKind.COLOUR, item.label))
    return found


def _centre(item: DetectedObject) -> float:
    return (item.box[0] + item.box[2]) / 2

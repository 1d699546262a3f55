"""Regions: boxes typed into a message, and questions about what stands in one."""

from __future__ import annotations

import re

from ..vlm.grounding import BINS, Box, find_boxes
from . import words
from .carriers import PICTURE
from .words import any_of, compiled, phrases

_MOST_REGIONS = 8
_NUMBER = r"(?:[xy][0-3]?\s?[=:]\s?)?<?(\d{1,3}(?:\.\d{1,4})?)>?%?"
_BETWEEN = r"(?:\s{0,2}[,;:/xX\u00d7-]\s{0,2}|\s{1,2}|><|\)?\s{0,2}(?:to|and|,|-)\s{0,2}\(?)"
_NUMBERS = re.compile(
    rf"[{{\[(<]{{0,2}}(?<![\d.]){_BETWEEN.join([_NUMBER] * 4)}(?![\d.])[}}\])>]{{0,2}}",
    re.IGNORECASE,
)

# What stands before a typed box: a label that goes with it, a place that it is, a word that joins it.
_LABEL = re.compile(r"(?:\b(?:coordinates|coords|points?|pixels|bins)\b|[=:({\[])[\s:=]{0,4}$")
_JOINT = re.compile(
    r"\b(?:in|inside|within|on|for|of|at|to|from|with|by|is|are|between|occup\w+|fill\w*|cover\w*)$"
)

# --- words that point -------------------------------------------------------------------------------------

_PLACE = any_of(
    phrases(
        "bounding box, bbox, box, area, region, rectangle, frame, square, circle, outline, selection, "
        "section, part, patch, crop, zone, spot, location, place, position, point, corner, marker, "
        "highlight, coordinates"
    )
)
_THING = "(?:object|thing|item|element|entity|stuff|bit|guy|piece|part)"
_MARKED = "(?:drew|drawn|made|gave|marked|selected|highlighted|circled|boxed|outlined)"
# "here", "in this box", "in the area I marked"
_HERE = (
    rf"(?:(?:in|inside|within|at|on|under|of|by|for|from)(?: of)? )?"
    rf"(?:here|there|it|this|that|(?:(?:the|this|that|my) (?:\w+ )?)?{_PLACE})"
    rf"(?: (?:i (?:just |have )?{_MARKED}|you (?:just )?(?:found|marked|drew)|shown|here|above|below))?"
)
# "it", "this one", "the red thing I marked"
_IT = (
    rf"(?:(?:this|that)(?: one)?|it|these|those|him|her|he|she|they|them|(?:the )?contents?(?: of)?|"
    rf"(?:the|this|that|these|those) (?:\w+ )?{_THING}s?(?: (?:i (?:\w+ )?)?{_MARKED})?)"
)
_NAMED_PLACE = compiled(rf"\b(?:the |this |an? )?({_PLACE})$")
_POINTER = compiled(rf"{_HERE}|{_IT}|(?:the one )?(?:in )?(?:this|the) \w+")
_DEICTIC = compiled(
    r"\b(?:this|that|these|those|here|there|it|its|he|she|they|him|her|them|his|their|"
    rf"(?:the|in|inside) (?:\w+ )?(?:{_PLACE}|selected|marked|highlighted))\b"
)
_THIS = compiled(rf"\b(?:this|that|here)\b(?! \w+ (?:is|has))(?! {PICTURE})|\b(?:in|inside) the {_PLACE}\b")
_ROUND = compiled(
    rf"\b(?:{any_of(words.PREPOSITIONS - {'of', 'like', 'as', 'from', 'with', 'without', 'for', 'to'})}|"
    r"where|how (?:many|far)|other|others|else|same|alone|background|do|doing|happening|going|gone)\b"
)
_WHOLE = compiled(rf"\b(?:this|that|the|whole|entire) {PICTURE}\b")

# --- requests for what a region shows ---------------------------------------------------------------------

# Nothing but a pointer, or what is wanted in one word: "this one", "object here", "name?".
_CURT = compiled(
    rf"(?:(?:and|now|tell me about) )?(?:{_HERE}|{_IT})(?: {_HERE})?|"
    r"(?:(?:a|the) )?(?:name|object|thing|what|who|identity|id|which)"
    rf"(?: (?:is )?(?:in |at |of )?(?:{_IT}|{_HERE}))?"
)
# A region told from others, "the red box", is read as "the box".
_QUALIFIED = compiled(rf"\b(the|this|that|my) \w+ (?={_PLACE}|{_THING})")
_NAMING = words.word_set(
    "name identify label recognise recognize describe caption classify explain determine"
)
_ASKING = _NAMING | words.word_set(
    "which what what's who who's expression description phrase call called term identity guess refer"
)
_BY_ME = compiled(
    rf"\b(?:i|i'm|i've|we)\b.* "
    rf"(?:{_MARKED}|point|select|mark|circl|box|outlin|draw|show|look|touch|hover|click)"
)
# What the thing does or is for, rather than what it is: "what does it say", "who is she looking at".
_SUBJECT = "(?:he|she|it|they|this|that|these|those)"
_ITS_DOING = compiled(
    rf"\b(?:(?:do|does|did) {_SUBJECT} (?:do|give|have|know|make|need|say|see|want)|"
    rf"{_SUBJECT} (?:looking|showing|pointing|touching)\b.*|{_SUBJECT} (?:on|in|under|from|for|about))$"
)
_WORD = re.compile(r"[\w'-]+")


def typed_regions(text: str) -> tuple[list[Box], str]:
    """Take typed boxes out of a text: `what is in [10, 20, 30, 40]` -> the box, `what is in this box`."""
    boxes: list[Box] = []
    while (found := _typed_region(text)) is not None and len(boxes) < _MOST_REGIONS:
        box, start, end = found
        text = _joined(text, start, end) if boxes else _without(text, start, end)
        boxes.append(box)
    return boxes, text


def _typed_region(text: str) -> tuple[Box, int, int] | None:
    spans = find_boxes(text)
    if spans:
        return spans[0].box, spans[0].start, spans[0].end
    match = _NUMBERS.search(text)
    box = _box([float(number) for number in match.groups()]) if match else None
    return (box, match.start(), match.end()) if match and box else None


def _joined(text: str, start: int, end: int) -> str:
    """Drop a further box together with what joins it to the one before."""
    return re.sub(r"[\s,]*(?:\band\b|&)?[\s,]*$", "", text[:start]) + text[end:]


def asks_what_it_is(text: str) -> bool:
    """Return whether a request asks for nothing but what stands in a region."""
    if _WHOLE.search(text):
        return False
    if _CURT.fullmatch(text):
        return True
    found = _WORD.findall(_QUALIFIED.sub(r"\1 ", text.lower()))
    if not found or not words.POINTING_WORDS.issuperset(found):
        return False
    by_me = bool(_BY_ME.search(text))
    points = by_me or (bool(_DEICTIC.search(text)) and not _ITS_DOING.search(text))
    return found[0] in _NAMING or (points and not _ASKING.isdisjoint(found))


def points_at_something(text: str) -> bool:
    """Return whether a request speaks of what a region shows: "what colour is this?"."""
    return bool(_DEICTIC.search(_WHOLE.sub(" ", text)))


def points_here(text: str) -> bool:
    """Return whether a request says "this" or "here" of something not named."""
    return bool(_THIS.search(text))


def speaks_of_the_whole(text: str) -> bool:
    """Return whether a request names the whole picture."""
    return bool(_WHOLE.search(text))


def speaks_of_surroundings(text: str) -> bool:
    """Return whether a question needs more in view than the thing that it is about: `is it on the sofa?`."""
    return bool(_ROUND.search(text))


def is_bare(text: str) -> bool:
    """Return whether a text is nothing but a pointing word: `this one`, `here`, `in this box`."""
    return bool(_POINTER.fullmatch(text))


def _without(text: str, start: int, end: int) -> str:
    """Return a text with a typed box put in words, so that it reads like a request with a drawn region."""
    before = _LABEL.sub("", text[:start]).rstrip()
    after = text[end:].lstrip(" ])}")
    if not before and not after.strip(" ?!."):
        return ""
    named = _NAMED_PLACE.search(before)
    if named:
        return f"{before[: named.start()]}this {named[1]} {after}"
    joint = "" if _JOINT.search(before) else "in "
    return f"{before} {joint}this box {after}".strip()


def _box(values: list[float]) -> Box | None:
    """Return four typed numbers as a box: fractions where all are at most 1 and one is broken, else bins."""
    if max(values) <= 1 and any(value % 1 for value in values):
        return Box.from_fractions(*values)
    if max(values) > BINS:
        return None
    x0, y0, x1, y1 = (round(value) for value in values)
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

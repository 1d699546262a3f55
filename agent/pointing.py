"""Regions: boxes typed into a message, and questions about what stands in one."""

from __future__ import annotations

import re

from ..vlm.grounding import BINS, Box, find_boxes
from . import words
from .carriers import PICTURE

_MOST_REGIONS = 8
# What a request made of common words alone asks with.
_ASKING = words.word_set(
    "which what what's who who's identify name label recognise recognize describe caption classify "
    "determine expression description phrase call called term identity guess refer"
)
_NUMBER = r"(?:[xy][0-3]?\s?[=:]\s?)?<?(\d{1,3}(?:\.\d{1,4})?)>?%?"
_BETWEEN = r"(?:\s{0,2}[,;:/xX\u00d7-]\s{0,2}|\s{1,2}|><|\)?\s{0,2}(?:to|and|,|-)\s{0,2}\(?)"
_NUMBERS = re.compile(
    rf"[{{\[(<]{{0,2}}(?<![\d.]){_BETWEEN.join([_NUMBER] * 4)}(?![\d.])[}}\])>]{{0,2}}",
    re.IGNORECASE,
)

_PLACE = (
    r"(?:box|area|region|rectangle|frame|spot|square|selection|part|crop|outline|circle|location|place|"
    r"position|section|zone|marker|highlight|patch|bounding box|bbox|coordinates|point|corner)"
)
_HERE = (
    rf"(?:(?:in|inside|within|at|on|under|of|by|for|from)(?: of)? )?(?:here|there|(?:the|this|that|my) "
    rf"(?:\w+ )?{_PLACE}|{_PLACE}|it|this|that)"
    r"(?: (?:i (?:drew|marked|selected|made|just drew|have drawn|highlighted|circled|gave)|shown|here|above|"
    r"below|you (?:just )?(?:found|marked|drew)))?"
)
_THING = r"(?:object|thing|item|element|entity|stuff|bit|guy|piece|part)"
_MARKED = (
    r"(?:i (?:\w+ )?(?:drew|marked|selected|highlighted|circled|boxed|outlined)|(?:high)?lighted|marked|"
    r"selected|circled|boxed|outlined)"
)
_I_MARKED = r"i(?:'ve| have)? (?:just )?(?:drew|drawn|marked|selected|highlighted|circled|boxed|outlined)"
_IT = (
    rf"(?:(?:this|that) one|this|that|it|these|those|him|her|he|she|they|them|(?:this|that|the|these|those) "
    rf"(?:\w+ )?{_THING}s?(?: {_MARKED})?|(?:the )?(?:content|contents)(?: of)?)"
)
_KIND = (
    r"(?: (?:called|exactly|anyway|supposed to be|here|please|then|again|actually|even|over here|over there|"
    r"in english))*"
)
_QUESTIONS = tuple(
    re.compile(question, re.IGNORECASE)
    for question in (
        rf"(?:and )?(?:what|who|wat)(?:'s| is| are|'re| was)? {_IT}(?: {_HERE})?{_KIND}",
        rf"(?:what|who)(?:'s| is| are| do you see| can you see| do we have| have we got| can be seen| did i "
        rf"(?:select|mark)|)? ?(?:there |shown |located |visible |found )?{_HERE}{_KIND}",
        rf"(?:what|which) (?:is )?(?:the )?(?:name of )?(?:the )?{_THING} (?:is|do you see|can you see|does|"
        rf"are)?(?: ?(?:{_IT}|located|shown|found|there))?(?: ?{_HERE})?(?: contain| hold| show)?",
        rf"what(?:'s| is) (?:the )?(?:\w+ )?{_THING}(?: {_HERE}| {_MARKED})?",
        rf"what {_IT}(?: {_HERE})?(?: is| are)(?: called)?",
        rf"how (?:is|are|do you|do we|would you) (?:call(?:ed)? {_IT}|{_IT} called)(?: {_HERE})?",
        rf"(?:(?:name|identify|describe|tell me|say|label) )?(?:what|the (?:thing|part|object|area)s?(?: "
        rf"that)?) {_I_MARKED}",
        rf"what(?:'s| is) (?:the )?name (?:of|for) {_IT}(?: {_HERE})?",
        rf"what (?:do|would) (?:you|we|people) call {_IT}(?: {_HERE})?",
        rf"what(?:'s| is| does| do)? ?{_HERE} (?:contain|show|hold|have|depict|represent)s?",
        r"(?:what|who) (?:am i|are we|did i|have i|do i|i'm|i am)(?: just)? ?(?:pointing(?: at| to)?|"
        r"select(?:ed|ing)?|mark(?:ed)?|circl(?:e|ed)|box(?:ed)?|outline[d]?|highlight(?:ed|ing)?|draw|drawn|"
        r"drew|showing(?: you)?|looking at|touch(?:ing|ed)?|hover(?:ing)?(?: over)?|click(?:ed)?(?: on)?)(?: "
        r"here| around| on| at| a box around)?",
        rf"(?:name|identify|label|recogni[sz]e|describe|caption|classify|explain|refer to|tell me about|say "
        rf"what|id|determine)(?: me| to me| for me| briefly| just| only| shortly)?(?: (?:what(?:'s| is) "
        rf")?(?:{_IT}|(?:the|what(?:'s| is)|whatever(?:'s| is)|everything|only|{_THING})(?: {_THING})?))?(?: "
        rf"?{_HERE})?(?: please| in a few words| in short| in one phrase| briefly)?",
        rf"(?:give|tell|generate|write|provide)(?: me| us)? (?:a |an |the )?(?:\w+ ){{0,2}}(?:name|"
        rf"expression|description|label|caption|phrase|identity)(?: (?:of|for) {_IT}(?: {_HERE})?| {_HERE})?",
        rf"(?:and |now )?(?:{_HERE}|{_IT})(?: {_HERE})?",
        rf"(?:a |the )?(?:name|object|thing|what|who|identity|id|which)(?: (?:is )?(?:in |at |of )?(?:{_IT}|"
        rf"{_HERE}))?",
        rf"what (?:object|thing|item) (?:is|do you see|can you see) (?:located |shown )?{_HERE}",
        rf"what (?:does|do) {_IT} (?:look like|show)",
    )
)
_DEICTIC = re.compile(
    rf"\b(?:this|that|these|those|here|it|he|she|him|her|his|they|them|their|its|there|(?:the|in|inside) "
    rf"(?:\w+ )?(?:{_PLACE}|selected|marked|highlighted))\b",
    re.I,
)
_WHOLE = re.compile(rf"\b(?:this|that|the|whole|entire) {PICTURE}\b", re.IGNORECASE)


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
    found = set(re.findall(r"[\w'-]+", text.lower()))
    says_no_more = found <= words.POINTING_WORDS and found & _ASKING and _DEICTIC.search(text)
    return bool(says_no_more) or any(question.fullmatch(text) for question in _QUESTIONS)


def points_at_something(text: str) -> bool:
    """Return whether a request speaks of what a region shows: "what colour is this?"."""
    return bool(_DEICTIC.search(_WHOLE.sub(" ", text)))


def points_here(text: str) -> bool:
    """Return whether a request says "this" or "here" of something not named."""
    return bool(
        re.search(
            rf"\b(?:this|that|here)\b(?! \w+ (?:is|has))(?! {PICTURE})|\b(?:in|inside) the "
            rf"{_PLACE}\b",
            text,
            re.I,
        )
    )


def speaks_of_the_whole(text: str) -> bool:
    """Return whether a request names the whole picture."""
    return bool(_WHOLE.search(text))


def is_bare(text: str) -> bool:
    """Return whether a text is nothing but a pointing word: `this one`, `here`, `in this box`."""
    return bool(_BARE.fullmatch(text))


_BARE = re.compile(
    rf"(?:{_HERE}|{_IT}|(?:this|that) one|(?:the one )?(?:in )?(?:this|the) "
    rf"\w+)",
    re.IGNORECASE,
)


_LABEL = re.compile(r"(?:\b(?:coordinates|coords|points?|pixels|bins)\b|[=:({\[])[\s:=]{0,4}$")


def _without(text: str, start: int, end: int) -> str:
    before = _LABEL.sub("", text[:start]).rstrip()
    after = text[end:].lstrip(" ])}")
    if not before and not after.strip(" ?!."):
        return ""
    if re.search(rf"\b{_PLACE}$", before, re.IGNORECASE):
        before = re.sub(rf"\b(?:the |this |an? )?({_PLACE})$", r"this \1", before, flags=re.IGNORECASE)
        return f"{before} {after}"
    joint = (
        ""
        if re.search(
            r"\b(?:in|inside|within|on|for|of|at|to|from|with|by|is|are|between|occup\w+|fill\w*|cover\w*)$",
            before,
        )
        else "in "
    )
    return f"{before} {joint}this box {after}".strip()


def _box(values: list[float]) -> Box | None:
    """Return four typed numbers as a box: fractions where all are at most 1 and one is broken, else bins."""
    if max(values) <= 1 and any(value % 1 for value in values):
        return Box.from_fractions(*values)
    if max(values) > BINS:
        return None
    x0, y0, x1, y1 = (round(value) for value in values)
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

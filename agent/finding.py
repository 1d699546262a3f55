"""Requests for a place: what is asked for, and whether it is one thing (refer) or several (detection)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..vlm.tasks import Task
from . import words
from .carriers import MARKING, PICTURE
from .phrases import core, head, names_many


@dataclass(frozen=True)
class Target:
    """What to find, and the task that finds it."""

    task: Task
    phrase: str


_VERB = rf"(?:{words.one_of(words.FINDING)}\b|{MARKING})"
_BOX = (
    r"(?:(?:bounding[- ])?box(?:es)?|rectangles?|circles?|frames?|outlines?|markers?|pins?|arrows?|"
    r"locations?|positions?|"
    r"coordinates?|whereabouts|exact spot|spot|place|region|area|bounds|squares?|borders?|rings?|labels?)"
)
_GIVE = (
    r"(?:(?:i |we )?(?:draw|put|place|add|make|create|give|get|show|return|output|provide|set|send|tell|mark|"
    r"need|want|find|"
    r"detect|predict|would like|'d like|what's|what is|what are|state|identify|report|have)(?:ing)?(?: me| "
    r"us| to me)? )?"
)
_PART = (
    rf"(?:part|region|area|corner|side|section|bit|half|quadrant|place)s?(?: of {PICTURE}| of (?:the|this) "
    rf"{PICTURE})?"
)
_FRAMES = tuple(
    re.compile(frame, re.IGNORECASE)
    for frame in (
        r"where(?:'s| has| have) (?P<target>.+?) (?:gone|disappeared|hidden|got to)",
        # where is the dog; where in the picture can I see the dog
        rf"where(?:abouts)?(?:(?: exactly)?,? (?:in|on) (?:this|the) {PICTURE},?)?(?: exactly| precisely)?"
        r"(?:'s| is| are|'re| was| were| do you see| do we see| (?:can|could|would|might) (?:i|we|you|one) "
        r"(?:see|find|spot|locate)|"
        r" (?:can|could) be(?: seen)?| to find| it is| they are)?(?: exactly| located)? (?P<target>.+?)"
        r"(?: (?:is|are|be)(?: located| placed| situated| positioned| found| hiding| exactly)?| (?:located|"
        r"placed|situated|"
        r"positioned|hiding|at|exactly))*",
        rf"(?:in |on |at |to )?(?:which|what) {_PART}"
        r" (?:is|are|can i (?:see|find)|do you see|shows?|has|have|contains?|holds?|corresponds? to|depicts?)"
        r" (?P<target>.+?)(?: (?:in|located|found|placed))?",
        # draw a box around the dog; the location of the dog
        rf"{_GIVE}(?:(?:a|an|the|its|one|some|all|their|exact|red|precise|tight|[\w-]+) ){{0,3}}{_BOX}"
        r" (?:around|on|for|of|over|round|about|at|onto|above|near|enclosing|covering|containing|where|with|"
        r"showing|to|"
        r"that (?:contains?|shows?|has|have|covers?)) (?P<target>.+?)(?: (?:is|are)(?: located)?)?",
        rf"{_BOX}: ?(?P<target>.+)",
        r"(?P<target>.+?)(?:'s|,)? (?:location|position|bounding box(?:es)?|coordinates|whereabouts)",
        r"(?P<target>.+?)[,:-]? where(?:abouts)?(?:'s| is| are)?(?: it| he| she| they| that| this)?",
        # find the dog; point out the dog
        rf"{_VERB} (?P<target>it|him|her|them|these|those) (?:out|up|down)",
        rf"{_VERB}(?: please)?(?: (?:to|for) (?:me|us))?(?: (?:me|us))?(?: please)?(?: (?:out|to|at|for|on|"
        rf"up|in|around))?"
        r"(?: (?:to|for) (?:me|us))?(?: where(?: is| are)?)?(?: ?: ?| )(?P<target>.+?)(?: (?:is|are)(?: "
        r"located)?)?",
        r"(?:i |we )?(?:want|need|would like|'d like) (?P<target>.+?) (?:to be )?(?:boxed|marked|highlighted|"
        r"circled|outlined|"
        r"located|found|detected|pointed out|framed|labelled|labeled|annotated)",
        r"i (?:search|seek) (?:for )?(?P<target>.+)",
        r"(?:i(?:'m| am) )?(?:look|search|hunt|scan)(?:ing)?(?: around)? for (?P<target>.+)",
        r"i (?:can't|cannot|can not|couldn't|don't|do not) (?:find|see|spot|locate) (?P<target>.+)",
        r"(?:i|i'd|we|i would|i'm trying)(?: really| just)? (?:want|need|like|would like|love|to)(?: to)? "
        r"(?:see|find|locate|spot) (?P<target>.+)",
        r"(?:have|did) you (?:seen|see|spotted|spot) (?P<target>(?:the|my|his|her) .+)",
        r"(?:do|can|could) you (?:see|spot) where (?P<target>.+?)(?: is| are)",
        r"zoom in(?:to)?(?: on)? (?P<target>.+)",
    )
)
_BARE = re.compile(
    rf"(?:where(?:abouts)?(?: exactly)?|(?:{words.one_of(words.FINDING | words.MARKING)})(?: me| us)?(?: "
    rf"where)?)",
    re.IGNORECASE,
)
# Questions with "where" that ask for a fact: where it was taken, where somebody looks.
_NO_PLACE = re.compile(
    r"where (?:do(?! you see| we see)|does|did|should|to|has|have|will|would)\b(?!.* (?:gone|disappeared|"
    r"hidden|got to)$)|where.*\b(?:taken|from|born|made|looking|going|"
    r"heading|pointing|facing|"
    r"headed|shot|travell?ing|walking to|coming from|set|grown|invented|happening|taking place)$|where was\b|"
    rf"where(?:'s| is| are) (?:this|that|these|those|we|i|you)(?: {PICTURE})?(?: (?:taken|set))?$",
    re.IGNORECASE,
)
_QUANTIFIER = re.compile(
    r"(?:(?:me|us|out|please|any and all|each and every|every single|every one|each one|all|any|every|each|"
    r"both)"
    r"(?: of)?(?: (?:the|these|those|them))?\s+)(?=\S)",
    re.IGNORECASE,
)
_TAILS = re.compile(
    rf"(?:,? (?:(?:that|which|who)(?: are| is)? )?(?:visible |shown |present |located |depicted |seen |found "
    rf")?(?:anywhere )?"
    rf"(?:in|on|from|within|inside|of|across|throughout|at) (?:this|the|my|that|our)? ?(?:\w+ )?{PICTURE}(?: "
    rf"(?:here|above|below))?|"
    r",? (?:that |which )?(?:you|i|we) (?:can )?(?:see|find|spot|detect|notice)(?: here| there)?|,? here|,? "
    r"visible|"
    r",? (?:and )?(?:with|using|by drawing|in|inside) (?:a |an |the |some |red )?(?:bounding )?(?:box(?:es)?|"
    r"rectangles?|circles?)|"
    r",? right now|,? wherever (?:they|it) (?:are|is)|,? (?:that )?(?:are|is) (?:visible|present|there)|"
    r",? exactly|,? there|,? now|,? too|,? also|,? as well|,? again|[\s,;:.!?]+)$",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    rf"(?:out )?(?:the |a |his |her |its |their )?(?:\w+ "
    rf")?{words.one_of(words.ATTRIBUTES)}(?: (?:of|in)\b|$)",
    re.I,
)


def find_target(text: str) -> Target | None:
    """Return what a request wants to be found, or None where it asks for no place."""
    text = text.rstrip(" ?!.,")
    if _NO_PLACE.search(text):
        return None
    if _BARE.fullmatch(text):
        return Target(Task.REFER, "it")
    for frame in _FRAMES:
        match = frame.fullmatch(text)
        if match:
            return _target(match["target"], text)
    return None


def target_of(phrase: str) -> Target:
    """Return a phrase as something to find: many things are detected, one is referred to."""
    cleaned = re.sub(r"^(?:only|just) ", "", clean(phrase), flags=re.IGNORECASE)
    many = names_many(cleaned)
    unquantified = _QUANTIFIER.match(cleaned)
    if unquantified and head(cleaned[unquantified.end() :]):
        many, cleaned = True, cleaned[unquantified.end() :]
    return Target(Task.DETECTION if many else Task.REFER, cleaned)


def clean(phrase: str) -> str:
    """Return a phrase without "in the picture", "that you can see" and the like behind it."""
    while (match := _TAILS.search(phrase)) and match.start():
        phrase = phrase[: match.start()]
    return phrase


def is_attribute(phrase: str) -> bool:
    """Return whether a phrase names a property, which is told and not pointed at: `the colour of the car`."""
    return bool(_ATTRIBUTE.match(phrase)) or (
        len(core(phrase)) > 1 and head(phrase).lower() in words.ATTRIBUTES
    )


def _target(phrase: str, text: str) -> Target | None:
    if re.match(r"(?:how|why|when|whether|if|out how|out why|a way|ways)\b", phrase, re.IGNORECASE):
        return None
    if is_attribute(phrase) and not text.lower().startswith("where"):
        return None
    found = target_of(phrase)
    several = re.match(r"(?:detect|where(?: are|'re)|spot all)\b", text, re.IGNORECASE)
    if several and head(found.phrase).lower() not in words.PAIRS:
        return Target(Task.DETECTION, found.phrase)
    return found

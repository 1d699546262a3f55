"""Requests for a place: what is asked for, and whether it is one thing (refer) or several (detection)."""

from __future__ import annotations

from dataclasses import dataclass

from ..vlm.tasks import Task
from . import words
from .carriers import MARKING, PICTURE
from .phrases import core, head, names_many
from .words import any_of, compiled, one_of, phrases


@dataclass(frozen=True)
class Target:
    """What to find, and the task that finds it."""

    task: Task
    phrase: str


# --- how a place is asked for -----------------------------------------------------------------------------

_VERB = rf"(?:{one_of(words.FINDING)}\b|{MARKING})"
_BOX = any_of(
    phrases(
        "(?:bounding[- ])?box(?:es)?, rectangles?, squares?, circles?, rings?, frames?, outlines?, "
        "borders?, bounds, markers?, pins?, arrows?, labels?, locations?, positions?, coordinates?, "
        "whereabouts, place, (?:exact )?spot, region, area"
    )
)
_GIVE = any_of(
    phrases(
        "draw, put, place, add, make, create, give, get, show, return, output, provide, set, send, tell, "
        "mark, need, want, find, detect, predict, would like, 'd like, what(?:'s| is| are), state, "
        "identify, report, have"
    )
)
_AROUND = any_of(
    phrases(
        "around, round, on, onto, for, of, over, about, at, above, near, with, to, where, enclosing, "
        "covering, containing, showing, that (?:contains?|shows?|has|have|covers?)"
    )
)
_MARKED = any_of(
    phrases(
        "boxed, marked, highlighted, circled, outlined, located, found, detected, pointed out, framed, "
        "labell?ed, annotated"
    )
)
_SEE = "(?:see|find|spot|locate)"
_PART = (
    r"(?:part|region|area|corner|side|section|bit|half|quadrant|place)s?"
    rf"(?: of (?:(?:the|this) )?{PICTURE})?"
)
_PLACED = "(?:located|placed|situated|positioned|found|hiding|exactly|at)"
_TO_ME = "(?: (?:to|for) (?:me|us))?"
_TARGET = "(?P<target>.+?)"
_FRAMES = tuple(
    compiled(frame)
    for frame in (
        # where has the dog gone; where in the picture can I see the dog; the dog, where is it
        rf"where(?:'s| has| have) {_TARGET} (?:gone|disappeared|hidden|got to)",
        rf"where(?:abouts)?(?:(?: exactly)?,? (?:in|on) (?:this|the) {PICTURE},?)?(?: exactly| precisely)?"
        rf"(?:'s| is| are|'re| was| were| do (?:you|we) see| to find| it is| they are|"
        rf" (?:can|could|would|might) (?:i|we|you|one) {_SEE}| (?:can|could) be(?: seen)?)?"
        r"(?: exactly| located)? "
        rf"{_TARGET}(?: (?:(?:is|are|be)(?: {_PLACED})?|{_PLACED}))*",
        rf"{_TARGET}[,:-]? where(?:abouts)?(?:'s| is| are)?(?: it| he| she| they| that| this)?",
        rf"(?:in |on |at |to )?(?:which|what) {_PART} "
        r"(?:is|are|can i (?:see|find)|do you see|shows?|has|have|contains?|holds?|corresponds? to|depicts?) "
        rf"{_TARGET}(?: (?:in|located|found|placed))?",
        # draw a box around the dog; the location of the dog; box: the dog; the dog's position
        rf"(?:(?:(?:i|we) )?{_GIVE}(?:ing)?(?: (?:to )?(?:me|us))? )?(?:[\w-]+ ){{0,3}}{_BOX} {_AROUND} "
        rf"{_TARGET}(?: (?:is|are)(?: located)?)?",
        rf"{_BOX}: ?{_TARGET}",
        rf"{_TARGET}(?:'s|,)? (?:location|position|bounding box(?:es)?|coordinates|whereabouts)",
        # point him out; show me where the dog is; I want the dog marked
        rf"{_VERB} (?P<target>it|him|her|them|these|those) (?:out|up|down)",
        rf"{_VERB}(?: please)?{_TO_ME}(?: (?:me|us))?(?: please)?"
        rf"(?: (?:out|to|at|for|on|up|in|around))?{_TO_ME}"
        rf"(?: where(?: is| are)?)?(?: ?: ?| ){_TARGET}(?: (?:is|are)(?: located)?)?",
        rf"(?:(?:i|we) )?(?:want|need|would like|'d like) {_TARGET} (?:to be )?{_MARKED}",
        # I'm looking for the dog; I can't see it; have you seen the dog; zoom in on it
        rf"(?:i(?:'m| am) )?(?:look|search|hunt|scan)(?:ing)?(?: around)? for {_TARGET}",
        rf"i (?:search|seek) (?:for )?{_TARGET}",
        rf"i (?:can't|cannot|can not|couldn't|don't|do not) {_SEE} {_TARGET}",
        rf"(?:i|i'd|we|i would|i'm trying)(?: really| just)? (?:want|need|like|would like|love|to)(?: to)? "
        rf"{_SEE} {_TARGET}",
        r"(?:have|did) you (?:seen?|spot(?:ted)?) (?P<target>(?:the|my|his|her) .+)",
        rf"(?:do|can|could) you (?:see|spot) where {_TARGET} (?:is|are)",
        rf"zoom in(?:to)?(?: on)? {_TARGET}",
    )
)
# "where?", "show me where": what was just spoken of.
_BARE = compiled(
    rf"(?:where(?:abouts)?(?: exactly)?|{one_of(words.FINDING | words.MARKING)}(?: me| us)?(?: where)?)"
)

# --- what is no place -------------------------------------------------------------------------------------

_WHEREABOUTS_UNSEEN = phrases(
    "taken, from, born, made, looking, going, heading, headed, pointing, facing, shot, travell?ing, "
    "walking to, coming from, set, grown, invented, happening, taking place"
)
# Questions with "where" that ask for a fact: where it was taken, where somebody looks.
_NO_PLACE = compiled(
    r"where (?:do(?! you see| we see)|does|did|should|to|has|have|will|would)\b"
    r"(?!.* (?:gone|disappeared|hidden|got to)$)|"
    rf"where.*\b{any_of(_WHEREABOUTS_UNSEEN)}$|where was\b|"
    rf"where(?:'s| is| are) (?:this|that|these|those|we|i|you)(?: {PICTURE})?(?: (?:taken|set))?$"
)
# "find out why": the verb of finding asks for a fact.
_NO_THING = compiled(r"(?:(?:out )?(?:how|why)|when|whether|if|a way|ways)\b")
_ATTRIBUTE = compiled(
    rf"(?:out )?(?:(?:the|a|his|her|its|their) )?(?:\w+ )?{one_of(words.ATTRIBUTES)}(?: (?:of|in)\b|$)"
)

# --- what surrounds the phrase ----------------------------------------------------------------------------

_QUANTIFIER = compiled(
    r"(?:me|us|out|please|any and all|each and every|every single|(?:every|each) one|all|any|every|each|both)"
    r"(?: of)?(?: (?:the|these|those|them))?\s+(?=\S)"
)
_SEVERAL = compiled(r"(?:detect|where(?: are|'re)|spot all)\b")
_ONLY = compiled("^(?:only|just) ")
_SHOWN = "(?:visible|shown|present|located|depicted|seen|found)"
_TAILS = compiled(
    any_of(
        (
            rf",? (?:(?:that|which|who)(?: are| is)? )?(?:{_SHOWN} )?(?:anywhere )?"
            r"(?:in|on|from|within|inside|of|across|throughout|at) (?:this|the|my|that|our)? ?"
            rf"(?:\w+ )?{PICTURE}(?: (?:here|above|below))?",
            r",? (?:(?:that|which) )?(?:you|i|we) (?:can )?(?:see|find|spot|detect|notice)(?: here| there)?",
            r",? (?:and )?(?:with|using|by drawing|in|inside) (?:(?:a|an|the|some|red) )?"
            r"(?:bounding )?(?:box(?:es)?|rectangles?|circles?)",
            r",? (?:that )?(?:are|is) (?:visible|present|there)",
            r",? (?:here|there|visible|exactly|wherever (?:they|it) (?:are|is))",
            r",? (?:now|right now|too|also|as well|again)",
            r"[\s,;:.!?]+",
        )
    )
    + "$"
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
    cleaned = _ONLY.sub("", clean(phrase))
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
    if _NO_THING.match(phrase) or (is_attribute(phrase) and not text.lower().startswith("where")):
        return None
    found = target_of(phrase)
    if _SEVERAL.match(text) and head(found.phrase).lower() not in words.PAIRS:
        return Target(Task.DETECTION, found.phrase)
    return found

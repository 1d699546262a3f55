"""Find the head noun of a phrase and its number, for answers and verification."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inflect


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[\w'-]+")
# Words that precede a noun phrase, and words that end it.
_DETERMINERS = _words(
    "a an the any some all every each both no my your his her its our their this that these those of "
    "one two three four five six seven eight nine ten"
)
_OPENING = re.compile(rf"^(?:(?:{'|'.join(_DETERMINERS)})\s+)+", re.IGNORECASE)
_ENDS = _words(
    "of in on at with by near next behind under over above below beside between from to for into onto "
    "inside outside around against along across through without and or but who that which whose where "
    "while is are was were has have wearing holding"
)
_NOUNS_IN_ING = _words(
    "building ceiling painting railing string ring wing king swing awning clothing crossing drawing earring"
)
# Plural nouns for a single thing.
PAIRS = _words(
    "glasses sunglasses scissors trousers pants jeans shorts binoculars headphones tongs pliers "
    "pyjamas goggles tweezers leggings tights spectacles stairs"
)
_SINGULAR = frozenset({"gas", "lens", "canvas", "atlas", "christmas"})
_MANY = frozenset({"people", "police", "cattle", "everyone", "everybody"})
MALE = _words("man boy guy gentleman father dad grandfather husband brother son uncle king waiter actor")
FEMALE = _words(
    "woman girl lady mother mum mom grandmother wife sister daughter aunt queen waitress actress bride"
)
PEOPLE = (
    MALE
    | FEMALE
    | _words(
        "person child kid baby toddler player skater surfer rider driver cyclist chef cook worker officer "
        "doctor nurse teacher student singer dancer swimmer runner batter catcher pitcher umpire "
        "goalkeeper referee skier snowboarder skateboarder photographer musician farmer soldier "
        "pedestrian passenger customer tourist friend teenager adult pilot climber someone somebody "
        "anyone figure human policeman fireman firefighter athlete clown everyone everybody"
    )
)


def bare(phrase: str) -> str:
    """Return a phrase without its leading determiners.

    >>> bare("the red car")
    'red car'
    """
    return _OPENING.sub("", phrase)


def core(phrase: str) -> list[str]:
    """Return the words of a phrase up to and including its noun, without determiners."""
    found: list[str] = []
    for word in _WORD.findall(phrase):
        lower = word.lower()
        if not found and lower in _DETERMINERS:
            continue
        if lower in _ENDS or (found and lower.endswith("ing") and lower not in _NOUNS_IN_ING):
            break
        found.append(word)
    return found


def noun_of(phrase: str) -> str:
    """Return the head noun of a phrase, or "" if there is none.

    >>> noun_of("the red car by the tree")
    'car'
    """
    return core(phrase)[-1] if core(phrase) else ""


def is_plural(noun: str) -> bool:
    """Return whether a noun is in the plural."""
    lower = noun.lower()
    return lower in PAIRS or lower in _MANY or (bool(lower) and _singular(lower) != lower)


def singular(noun: str) -> str:
    """Return the singular of a noun, in lower case."""
    return _singular(noun.lower()) if noun else ""


def plural(noun: str) -> str:
    """Return the plural of a noun.

    >>> plural("child"), plural("sheep")
    ('children', 'sheep')
    """
    return noun if not noun or is_plural(noun) else str(_inflect().plural_noun(noun))


@cache
def _singular(noun: str) -> str:
    if noun.endswith(("'s", "us", "is")) or noun in _SINGULAR or len(noun) < 3:
        return noun
    found: Any = _inflect().singular_noun(noun)
    return str(found) if found else noun


@cache
def _inflect() -> inflect.engine:
    import inflect

    return inflect.engine()

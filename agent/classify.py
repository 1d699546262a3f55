"""One request read by itself: which task it is, what its argument is, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from ..vlm.tasks import Task
from . import finding, pointing, talk, words
from .carriers import AUXILIARY, WH_WORD, trim
from .describing import asks_for_caption, asks_for_grounding
from .phrases import is_phrase


class Kind(Enum):
    """What a piece of a message does."""

    REQUEST = auto()  # it asks for something
    FRAGMENT = auto()  # a phrase that says only what, as in "and the dog?"
    REMARK = auto()  # a greeting, a comment, a statement: it asks for nothing


@dataclass(frozen=True)
class Reading:
    """A piece of a message as it was understood; `task` None is free conversation."""

    kind: Kind
    task: Task | None
    argument: str
    why: str
    about_region: bool = False
    general: bool = False  # a question that seems to need no picture


_QUESTION = re.compile(
    rf"(?:{WH_WORD}|{AUXILIARY}\b|am|whether|if|in what|on what|in which|on which|at what|to whom|of what|"
    rf"with what|by whom|from what|"
    r"any|anyone|anything|anybody|what's|who's|how's)",
    re.IGNORECASE,
)
_SEEING = re.compile(
    rf"(?:{words.one_of(words.SEEING)}|describe|identify|find|look up|work out|figure out|recogni[sz]e|"
    rf"translate|rate|choose|assess|calculate|"
    r"classify|judge|interpret|explain|describing|counting|reading|analy[sz]e|state|answer|compute|solve|"
    r"convert|spell|define|quote|detect|show)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:count|counting|(?:what(?:'s| is) )?(?:the )?(?:number|amount|count) of)(?: up)?(?: how many| all| "
    r"every)?(?: of)?(?: the)? (?P<what>.+)",
    re.I,
)
_CLAUSE = re.compile(r"(?:whether|if)\s+(?P<clause>.+)", re.IGNORECASE)
_STATEMENT = re.compile(
    r"(?:i|i'm|we|you|my|this|that|there|it|it's|that's|he|she|they|these|those|let|don't|do not|never|if|"
    r"because|as|since|when|once)\b|"
    rf".*\s(?:{AUXILIARY}|was|be|looks?|seems?|love|likes?|am|wants?|needs?|got)\b(?! (?:in|on|at)$)",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(?:who|that|which|whose|where|with)\b", re.IGNORECASE)
_LONGEST_PHRASE = 14


def classify(piece: str, points: bool) -> Reading:
    """Read one piece of a message; `points` tells whether "this" has a region to point at."""
    text = trim(piece)
    plain = text.rstrip(" ?!.,")
    if points and pointing.asks_what_it_is(plain):
        return Reading(
            Kind.REQUEST, Task.IDENTIFY, plain, "it asks what stands in that region", about_region=True
        )
    if talk.is_small_talk(text) or not plain:
        return Reading(Kind.REMARK, None, text, "it is small talk")
    if talk.asks_to_make(plain):
        return Reading(Kind.REQUEST, None, text, "it asks for words to be made up, not for what is seen")
    if asks_for_grounding(plain):
        return Reading(
            Kind.REQUEST, Task.GROUNDING, "", "it asks for a detailed description, or one with boxes"
        )
    if asks_for_caption(plain):
        return Reading(Kind.REQUEST, Task.CAPTION, "", "it asks what the whole picture shows")
    return _find(plain, text) or _question(plain, text) or _phrase(plain, text)


def _find(plain: str, text: str) -> Reading | None:
    target = finding.find_target(plain)
    if target is None:
        return None
    if talk.is_worldly(plain) or talk.is_worldly(target.phrase) or not any(map(str.isalnum, target.phrase)):
        return Reading(Kind.REQUEST, None, text, "it asks for something that no picture shows")
    many = target.task is Task.DETECTION
    why = "it asks where several things are" if many else "it asks where one thing is"
    return Reading(Kind.REQUEST, target.task, target.phrase, why)


def _question(plain: str, text: str) -> Reading | None:
    count = _COUNT.fullmatch(plain)
    if count and not talk.is_worldly(plain):
        plain = text = _counting(count["what"])
    elif not (
        _QUESTION.match(plain) or _SEEING.match(plain) or (text.endswith("?") and _STATEMENT.match(plain))
    ):
        return None
    if talk.speaks_of_assistant(plain):
        return Reading(Kind.REQUEST, None, text, "it is about the assistant or the conversation")
    clause = _CLAUSE.fullmatch(text)
    asked = clause["clause"] if clause else plain
    if talk.is_worldly(plain) or not talk.speaks_of_picture(asked):
        return Reading(Kind.REQUEST, None, text, "it is a question that needs no picture", general=True)
    return Reading(Kind.REQUEST, Task.VQA, text, "it is a question about the picture")


def _phrase(plain: str, text: str) -> Reading:
    """Read what is neither question nor command: a bare phrase names what to find, a sentence is a remark."""
    if talk.speaks_of_assistant(plain) or not is_phrase(plain) or talk.is_worldly(plain):
        return Reading(Kind.REMARK, None, text, "it asks for nothing in the picture")
    if finding.is_attribute(plain):
        return Reading(Kind.FRAGMENT, Task.VQA, text, "it names a property to be told")
    target = finding.target_of(plain)
    return Reading(Kind.FRAGMENT, target.task, target.phrase, "it names what to find")


def _counting(what: str) -> str:
    """Return a count as a question: `the people with hats` -> `how many people with hats are there?`."""
    if re.search(r"\b(?:are|is|there|you (?:can )?see)\b", what, re.IGNORECASE):
        return f"how many {what}?"
    if re.fullmatch(r"them|those|these|it", what, re.IGNORECASE):
        return f"how many of {what} are there?"
    return f"how many {finding.clean(what)} are there?"


__all__ = ["Kind", "Reading", "classify"]

"""One request read by itself: which task it is, what its argument is, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ..vlm.tasks import Task
from . import finding, pointing, talk, words
from .carriers import AUXILIARY, WH_WORD, trim
from .describing import asks_for_caption, asks_for_grounding
from .phrases import STATEMENT, is_phrase
from .words import compiled, one_of


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


_QUESTION = compiled(
    rf"(?:{WH_WORD}|{AUXILIARY}\b|am|whether|if|any|anyone|anything|anybody|"
    r"(?:in|on|at|of|with|by|from|to) (?:what|which|whom))"
)
# Verbs that ask for something to be read off the picture.
_SEEING = compiled(one_of(words.SEEING | words.TELLING) + r"\b")
_COUNT = compiled(
    r"(?:count|counting|(?:what(?:'s| is) )?(?:the )?(?:number|amount|count) of)(?: up)?"
    r"(?: how many| all| every)?(?: of)?(?: the)? (?P<what>.+)"
)
_CLAUSE = compiled(r"(?:whether|if)\s+(?P<clause>.+)")
# "what colour it is", as in "tell me what colour it is"
_INDIRECT = compiled(
    rf"(?P<wh>(?:what|which|how)(?: (?!{AUXILIARY}\b)[\w-]+)?) "
    r"(?P<who>(?:it|he|she|they|this|that)|(?:the|his|her|their|its|my|these|those) [\w' -]{1,60}) "
    r"(?P<be>is|are|was|were)"
)
_COUNTED_ALREADY = compiled(r"\b(?:are|is|there|you (?:can )?see)\b")
_THEM = compiled("them|those|these|it")


def classify(piece: str, points: bool) -> Reading:
    """Read one piece of a message; `points` tells whether "this" has a region to point at."""
    text = trim(piece)
    plain = text.rstrip(" ?!.,")
    if points and pointing.asks_what_it_is(plain):
        return _request(Task.IDENTIFY, plain, "it asks what stands in that region", about_region=True)
    if talk.is_small_talk(text) or not plain:
        return Reading(Kind.REMARK, None, text, "it is small talk")
    if talk.asks_to_make(plain):
        return _request(None, text, "it asks for words to be made up, not for what is seen")
    if asks_for_grounding(plain):
        return _request(Task.GROUNDING, "", "it asks for a detailed description, or one with boxes")
    if asks_for_caption(plain):
        return _request(Task.CAPTION, "", "it asks what the whole picture shows")
    return _find(plain, text) or _question(plain, text) or _phrase(plain, text)


def _request(
    task: Task | None, argument: str, why: str, *, about_region: bool = False, general: bool = False
) -> Reading:
    return Reading(Kind.REQUEST, task, argument, why, about_region, general)


def _find(plain: str, text: str) -> Reading | None:
    target = finding.find_target(plain)
    if target is None:
        return None
    if talk.is_worldly(plain) or talk.is_worldly(target.phrase) or not any(map(str.isalnum, target.phrase)):
        return _request(None, text, "it asks for something that no picture shows")
    many = target.task is Task.DETECTION
    why = "it asks where several things are" if many else "it asks where one thing is"
    return _request(target.task, target.phrase, why)


def _question(plain: str, text: str) -> Reading | None:
    count = _COUNT.fullmatch(plain)
    if count and not talk.is_worldly(plain):
        plain = text = _counting(count["what"])
    elif not (_QUESTION.match(plain) or _SEEING.match(plain) or _asks_in_a_statement(plain, text)):
        return None
    if talk.speaks_of_assistant(plain):
        return _request(None, text, "it is about the assistant or the conversation")
    indirect = _INDIRECT.fullmatch(plain)
    if indirect:
        plain = text = "{wh} {be} {who}?".format(**indirect.groupdict())
    clause = _CLAUSE.fullmatch(text)
    asked = clause["clause"] if clause else plain
    if talk.is_worldly(plain) or not talk.speaks_of_picture(asked):
        return _request(None, text, "it is a question that needs no picture", general=True)
    return _request(Task.VQA, text, "it is a question about the picture")


def _asks_in_a_statement(plain: str, text: str) -> bool:
    """Return whether a statement is a question by its mark: `the dog is asleep?`."""
    return text.endswith("?") and bool(STATEMENT.match(plain))


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
    if _COUNTED_ALREADY.search(what):
        return f"how many {what}?"
    if _THEM.fullmatch(what):
        return f"how many of {what} are there?"
    return f"how many {finding.clean(what)} are there?"


__all__ = ["Kind", "Reading", "classify"]

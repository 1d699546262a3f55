"""Messages that say only what is new: "and the dog?", "only the red ones", "no, the left one"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..vlm.tasks import Task
from . import words
from .carriers import AUXILIARY
from .finding import clean, target_of
from .mentions import COUNTED, Mention, mentions_of_step, names_a_thing
from .phrases import Chunk, chunks, core, head, is_plural_noun, without_determiner
from .plan import PastStep, Step
from .reference import complete, picks_one, resolve
from .words import any_of, compiled, one_of

# "and", "what about", "the same for": the earlier request goes on.
_LEAD = compiled(
    r"(?:(?:(?:now|next|then) (?:for|with)|and|or|so|ok|okay|now|then|but|also|maybe|next|again|only|just|"
    r"keep|merely|"
    r"what about|how about|what of|(?:do )?(?:the )?same (?:thing |question )?(?:for|with|about)|"
    r"(?:ditto|likewise|this time)(?: for)?|repeat (?:that |it |this )?(?:for|with)|again (?:for|with)|"
    r"filter(?: them)?(?: to| by)?|limit (?:it|them) to)[\s,]+)+"
)
_CONTRAST = (
    compiled(r"not (?P<old>[^,.;]{1,80}?)(?:[,.;]| but)\s*(?:but |just )?(?P<new>\S.*)"),
    compiled(r"(?P<new>\S.{0,80}?),? (?:not|instead of|rather than) (?P<old>[^,.;]{1,80})"),
)
_CORRECTION = compiled(
    any_of(
        (
            # "no", before what is meant instead
            r"(?:no|nope|nah|wrong|incorrect|sorry|oops|oh|hmm|well|actually|rather|please|not quite)"
            r"(?=[\s,.;:!-]+(?:the|i|not|that|this|it|other|another|a|you|wrong|try|look|my|in|on|with|find|show|"
            r"where|what|how|is|are|left|right|[\w-]+ ones?)\b|\W*$|[,.;:!])",
            # "that's not the one", "you marked the wrong dog"
            r"(?:not (?:that|this|it|him|her|them|those|there|what i (?:meant|asked|wanted))(?: ones?| \w+)?|"
            r"wrong (?:one|\w+)|not quite|(?:try|look|check) again|"
            r"(?:that|this|it)(?:'s| is| was) (?:wrong|incorrect|(?:the|a) wrong \w+|"
            r"not (?:it|him|her|them|right|correct|the one|(?:the|a) [\w ]{1,30}?|"
            r"what i (?:meant|wanted|asked(?: for)?|was looking for)))|"
            r"that isn't (?:it|him|her|right|the \w+)|"
            r"you (?:got|found|marked|showed|picked|chose)(?: me)? the wrong \w+)(?=[\s,.;:!-]|$)",
            # "I didn't mean the cat", "I meant the dog"
            r"i (?:didn't|don't|did not) (?:mean|want|ask for) [\w ]{1,30}?(?=[,.;:!-])",
            r"i (?:mean|meant|said|wanted|was (?:asking|looking) (?:for|about)|asked (?:for|about))(?=\s)",
        )
    )
    + r"[\s,.;:!-]*"
)
_AGAIN = compiled(r"\b(?:try|look|check) again\b")
_REJECTION = compiled(r"\b(?:not|wrong|isn't|incorrect)\b")
_PLACE_WORDS = (
    "(?:next to|in front of|on top of|closest to|in|on|at|by|near|behind|under|inside|above|below|beside)"
)
_MODIFIER = compiled(rf"[\s,]*(?:{_PLACE_WORDS}|with|without|from|of|to)\b ?")
_PLACE_PHRASE = compiled(
    rf"{one_of(words.PREPOSITIONS - {'of', 'like', 'as', 'than', 'without', 'except'})}\b"
)
_LAST_PLACE = compiled(rf" {_PLACE_WORDS}\b(?: (?:the|a|an|his|her|this))? ?[\w' -]*?(?=\W*$)")
_WH_FRAGMENT = compiled(r"(?:what|which|how) (?:(?:kind|type) of )?[\w-]+|how|who|when")
_VERB_BEFORE = compiled(r"\b(is|are|was|were|does|do|has|have) $")
_THERE_IS = compiled(rf"{AUXILIARY} there\b")
_YES_OR_NO = compiled(AUXILIARY)
_SUBJECT = compiled(r"\b(?:there|is|are) (?P<noun>[\w-]+(?: one)?)")


def without_lead(text: str) -> tuple[str, bool]:
    """Split "and", "what about", "only" and the like from a message, and tell whether there was any."""
    match = _LEAD.match(text)
    return (text[match.end() :], True) if match and match.end() < len(text) else (text, False)


def correction(text: str) -> str | None:
    """Return what a correction asks for instead: None if it is no correction, `""` if it names nothing."""
    rest = text
    while match := _CORRECTION.match(rest):
        rest = rest[match.end() :]
    if rest == text:
        contrast = _CONTRAST[0].fullmatch(text)
        return contrast["new"] if contrast else None
    for pattern in _CONTRAST:
        contrast = pattern.fullmatch(rest)
        if contrast:
            return contrast["new"]
    return rest.strip(" ?!.,")


def rejects(text: str) -> bool:
    """Return whether a correction says that the wrong thing was found."""
    return bool(_REJECTION.search(text))


def repeats(text: str) -> bool:
    """Return whether a correction asks for the same once more."""
    return bool(_AGAIN.search(text))


def question_about(fragment: str, mentions: Sequence[Mention]) -> str | None:
    """Return a bare question word as a whole question: `what colour?` -> `what colour is the dog?`."""
    plain = fragment.strip(" ?!.")
    if not mentions or not _WH_FRAGMENT.fullmatch(plain):
        return None
    return f"{plain} {'are' if mentions[0].many else 'is'} {mentions[0].phrase}?"


def repeat(earlier: PastStep, phrase: str, mentions: Sequence[Mention]) -> Step:
    """Return the earlier step, asked about another phrase."""
    phrase = clean(phrase.strip(" ?!.,"))
    if earlier.task is Task.VQA:
        asked_about = mentions_of_step(earlier) or mentions
        return Step(Task.VQA, substitute(earlier.argument, resolve(phrase, asked_about, pointing=True)))
    if earlier.task is None:
        return Step(None, phrase)
    several = earlier.task is Task.DETECTION
    noun = next((mention.noun for mention in mentions if mention.noun), "")
    target = target_of(complete(resolve(phrase, mentions), noun, several))
    one = target.task is Task.REFER and any(map(picks_one, core(target.phrase)[:-1]))
    return Step(Task.DETECTION if several and not one else target.task, target.phrase)


def substitute(question: str, phrase: str) -> str:
    """Ask a question about something else: `what colour is the car?`, `the bike` -> `... is the bike?`."""
    if _PLACE_PHRASE.match(phrase):
        replaced, count = _LAST_PLACE.subn(f" {phrase}", question, count=1)
        return replaced if count else f"{question.rstrip(' ?')} {phrase}?"
    counted = COUNTED.match(question)
    if counted and not phrase.lower().startswith(("the ", "his ", "her ")):
        noun = complete(phrase, head(counted[1]), many=True)
        return f"{question[: counted.start(1)]}{without_determiner(noun)}{question[counted.end() :]}"
    old = _replaced_chunk(question, phrase)
    if old is None:
        return f"{question.rstrip(' ?')}: {phrase}?"
    new = complete(phrase, head(old.text), is_plural_noun(head(old.text)))
    if new.endswith(("'s", "s'")):
        new = f"{new} {head(old.text)}"
    before, after = question[: old.start], question[old.end :]
    return _agreeing(before, new) + new + _without_modifier(question, after)


def _replaced_chunk(question: str, phrase: str) -> Chunk | None:
    """Return the phrase of the question that is about the same kind of thing."""
    found = [chunk for chunk in chunks(question) if names_a_thing(chunk.text)]
    if _THERE_IS.match(question) or not found:
        found = found or chunks(question)
        return found[0] if found else _bare_subject(question)
    noun = head(phrase).lower()
    if noun:
        alike = [
            chunk for chunk in found if (head(chunk.text).lower() in words.PEOPLE) == (noun in words.PEOPLE)
        ]
        return (alike or found)[0]
    return found[0]


def _bare_subject(question: str) -> Chunk | None:
    """Return the noun of a question that has no determiner: `are there dogs here?`, `what colour is it?`."""
    match = _SUBJECT.search(question)
    return Chunk(match["noun"], match.start("noun"), match.end("noun")) if match else None


def _without_modifier(question: str, after: str) -> str:
    """Drop what told the old thing from others, unless that is asked: `is the cat on the sofa?`."""
    rest = after
    while match := _MODIFIER.match(rest):
        behind = rest[match.end() :]
        noun = core(behind)
        if not noun:
            break
        rest = behind[behind.index(noun[-1]) + len(noun[-1]) :]
    asked = not rest.strip(" ?") and _YES_OR_NO.match(question)
    return after if asked else rest


def _agreeing(before: str, phrase: str) -> str:
    """Return the words before a new subject with their verb agreeing with it."""
    many = is_plural_noun(head(phrase))
    pairs = {"is": "are", "was": "were", "does": "do", "has": "have"}
    if not many:
        pairs = {old: new for new, old in pairs.items()}

    def agree(match: re.Match[str]) -> str:
        return pairs.get(match[1].lower(), match[1]) + " "

    return _VERB_BEFORE.sub(agree, before)

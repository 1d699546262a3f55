"""Messages that say only what is new: "and the dog?", "only the red ones", "no, the left one"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..vlm.tasks import Task
from . import words
from .carriers import AUXILIARY
from .finding import target_of
from .mentions import Mention, mentions_of_step, names_a_thing
from .phrases import Chunk, chunks, core, head, is_plural_noun, without_determiner
from .plan import PastStep, Step
from .reference import complete, resolve

_LEAD = re.compile(
    r"(?:(?:and|or|so|ok|okay|now|then|but|also|maybe|next|again|only|just|keep|merely)[\s,]+|"
    r"(?:what about|how about|what of|(?:do )?(?:the )?same (?:thing |question )?(?:for|with|about)|ditto(?: "
    r"for)?|likewise(?: for)?|"
    r"repeat (?:that |it |this )?(?:for|with)|again (?:for|with)|this time(?: for)?|filter(?: them)?(?: to| "
    r"by)?|limit (?:it|them) to)"
    r"[\s,]+)+",
    re.IGNORECASE,
)
_CONTRAST = (
    re.compile(r"not (?P<old>[^,.;]{1,80}?)(?:[,.;]| but)\s*(?:but |just )?(?P<new>\S.*)", re.IGNORECASE),
    re.compile(r"(?P<new>\S.{0,80}?),? (?:not|instead of|rather than) (?P<old>[^,.;]{1,80})", re.IGNORECASE),
)
_CORRECTION = re.compile(
    r"(?:(?:no|nope|nah|wrong|sorry|oops|actually|rather|incorrect|hmm|please|well|not quite|"
    r"oh)(?=[\s,.;:!-]+(?:the|i|not|that|this|it|"
    r"other|another|a|you|wrong|try|look|my|in|on|with|find|show|where|what|how|is|are|left|right|[\w-]+ "
    r"ones?)\b|\W*$|[,.;:!])"
    r"|(?:not (?:that|this|it|him|her|them|those|there|what i (?:meant|asked|wanted))(?: ones?| \w+)?|wrong "
    r"(?:one|\w+)|"
    r"(?:that|this|it)(?:'s| is| was) (?:not (?:it|him|her|them|right|correct|the one|what i (?:meant|asked "
    r"for|wanted|asked|was looking for)|"
    r"(?:the|a) [\w ]{1,30}?)|wrong|incorrect|(?:the|a) wrong [\w]+)|that isn't (?:it|him|her|right|the \w+)|"
    r"you (?:got|found|marked|showed|picked|chose)(?: me)? the wrong \w+|(?:try|look|check) again|not "
    r"quite)(?=[\s,.;:!-]|$)"
    r"|i (?:didn't|don't|did not) (?:mean|want|ask for) [\w ]{1,30}?(?=[,.;:!-])"
    r"|i (?:mean|meant|said|wanted|was (?:asking|looking) (?:for|about)|asked (?:for|"
    r"about))(?=\s))[\s,.;:!-]*",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"\b(?:try|look|check) again\b", re.IGNORECASE)
_MODIFIER = re.compile(
    r"[\s,]*(?:in front of|on top of|next to|closest to|"
    r"in|on|at|with|without|by|near|behind|under|from|of|to)\b ?",
    re.IGNORECASE,
)
_PLACE_PHRASE = re.compile(
    rf"(?:{words.one_of(words.PREPOSITIONS - {'of', 'like', 'as', 'than', 'without', 'except'})})\b",
    re.IGNORECASE,
)
_LAST_PLACE = re.compile(
    r" (?:in|on|at|under|behind|near|inside|above|below|beside|next to|in front of|on "
    r"top of)\b(?: (?:the|a|an|his|her|this))? ?[\w' -]*?(?=\W*$)",
    re.I,
)
_WH_FRAGMENT = re.compile(r"(?:(?:what|which|how) (?:kind of |type of )?[\w-]+|how|who|when)", re.IGNORECASE)
_COUNTED = re.compile(
    r"(how many )((?:(?!are\b|is\b|do\b|does\b|can\b|of\b)[\w-]+ ){0,3}?[\w-]+)(?= |\?|"
    r"$)",
    re.IGNORECASE,
)


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
    return bool(re.search(r"\b(?:not|wrong|isn't|incorrect)\b", text, re.IGNORECASE))


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
    phrase = phrase.strip(" ?!.,")
    if earlier.task is Task.VQA:
        asked_about = mentions_of_step(earlier) or mentions
        return Step(Task.VQA, substitute(earlier.argument, resolve(phrase, asked_about, pointing=True)))
    if earlier.task is None:
        return Step(None, phrase)
    many = earlier.task is Task.DETECTION
    noun = next((mention.noun for mention in mentions if mention.noun), "")
    target = target_of(complete(resolve(phrase, mentions), noun, many))
    return Step(Task.DETECTION if many else target.task, target.phrase)


def substitute(question: str, phrase: str) -> str:
    """Ask a question about something else: `what colour is the car?`, `the bike` -> `... is the bike?`."""
    if _PLACE_PHRASE.match(phrase):
        replaced, count = _LAST_PLACE.subn(f" {phrase}", question, count=1)
        return replaced if count else f"{question.rstrip(' ?')} {phrase}?"
    counted = _COUNTED.match(question)
    if counted and not phrase.lower().startswith(("the ", "his ", "her ")):
        noun = complete(phrase, head(counted[2]), many=True)
        return f"{counted[1]}{without_determiner(noun)}{question[counted.end() :]}"
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
    if re.match(rf"{AUXILIARY} there\b", question, re.IGNORECASE) or not found:
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
    match = re.search(r"\b(?:there|is|are) (?P<noun>[\w-]+(?: one)?)", question, re.IGNORECASE)
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
    asked = not rest.strip(" ?") and re.match(AUXILIARY, question, re.IGNORECASE)
    return after if asked else rest


def _agreeing(before: str, phrase: str) -> str:
    """Return the words before a new subject with their verb agreeing with it."""
    many = is_plural_noun(head(phrase))
    pairs = {"is": "are", "was": "were", "does": "do", "has": "have"}
    if not many:
        pairs = {old: new for new, old in pairs.items()}

    def agree(match: re.Match[str]) -> str:
        return pairs.get(match[1].lower(), match[1]) + " "

    return re.sub(r"\b(is|are|was|were|does|do|has|have) $", agree, before, flags=re.IGNORECASE)

"""Words that point back at what was spoken of: he, it, them, the other one, the smallest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from . import words
from .mentions import Mention, mentions_in
from .phrases import core, head, is_adjective, names_many, plural, singular, tokens
from .words import any_of, compiled, phrases

_PRONOUN = compiled(
    r"\b(?P<word>he|she|it|they|him|her|them|his|hers|its|their|theirs)\b(?P<verb>'s|'re|'ll)?(?! \+)"
)
_POSSESSIVE = {"his", "its", "their", "hers", "theirs"}
_MALE = {"he", "him", "his"}
_FEMALE = {"she", "her", "hers"}
_NEUTER = {"it", "its"}
_PLURAL = {"they", "them", "their", "theirs"}
# "is it raining": this "it" means nothing.
_WEATHER = phrases(
    "raining, rainy, snowing, sunny, cloudy, foggy, windy, cold, hot, warm, dark, day, daytime, night, "
    "night-?time, morning, noon, afternoon, evening, sunrise, sunset, winter, summer, spring, autumn, "
    "fall, christmas, true, likely, indoors, outdoors, inside or"
)
_DUMMY = compiled(
    r"\bit(?:'s| is| looks?| seems?| appears?)?"
    rf"(?: (?:really|very|still|too|to be|like|a|going to|about to))? {any_of(_WEATHER)}\b|"
    r"\b(?:time|day|season|year|month|weather|hour) (?:is|of day is|of year is) it\b|\bit (?:rain|snow)\b"
)
# "the red one", "which one"; not "one of", "in one word"
_ONE = compiled(r"\b(?P<lead>[\w-]+) (?P<one>ones?)\b(?! (?:of|word|sentence|phrase|line|or|short|by)\b)")
_ONE_LEADS = words.DETERMINERS | {"which", "two", "three"}
_THOSE = compiled(
    r"\b(?:those|the ones)\b"
    r"(?= (?:in|on|at|with|without|by|near|behind|under|who|that|which|from|\w+ing)\b)"
)
_OTHERS = compiled(r"\bthe (?:others|rest)\b")
# "how many wheels do they have": they are not what is counted.
_COUNTS = compiled(r"how many [\w -]{1,40} (?:do|does|did|have|has|can) $")
_WHICH = compiled(r"\bwhich(?= (is|are|has|have|looks?|was|does)\b)")
_HOW_MANY = compiled(r"\bhow many(?= (?:are|have|wear|do|can|is)\b|\W*$)")
_DEMONSTRATIVE = compiled(
    r"\b(?:(?P<one>this|that)|these|those)\b"
    r"(?=\W*$| (?:is|are|was|were|made|looks?|doing|has|have|do|does)\b| \w+\W*$)"
)
_QUANTIFIERS = compiled(r"(?:(?:the|all|every|each|both|another|other|any|only|two|three|a|an|\d+)\b ?)*")
_CHOICES = words.word_set("other another left right first second third last next middle")


def resolve(text: str, mentions: Sequence[Mention], *, pointing: bool = False) -> str:
    """Replace what points back by what it means; `pointing` keeps "it" and "this" for a region."""
    if not mentions:
        return text
    text = resolve_ones(text, mentions)
    skip = [match.span() for match in _DUMMY.finditer(text)]

    def replace(match: re.Match[str]) -> str:
        word = match["word"].lower()
        if any(start <= match.start() < end for start, end in skip):
            return match[0]
        if pointing and word not in _PLURAL:
            return match[0]
        own = mentions_in(text[: match.start()], phrases_only=True)
        counts = _COUNTS.search(text[: match.start()])
        if not counts and any(_agrees(word, mention) for mention in own):
            return match[0]
        meant = antecedent(word, mentions)
        return _in_place(match, meant, text) if meant else match[0]

    text = _PRONOUN.sub(replace, text)
    return text if pointing else _resolve_those(text, mentions)


def resolve_ones(text: str, mentions: Sequence[Mention]) -> str:
    """Return `text` with "one", a bare "which" and a bare "how many" given the noun just spoken of."""
    noun = next((mention.noun for mention in mentions if mention.noun), "")
    if not noun:
        return text

    def named(match: re.Match[str]) -> str:
        lead = match["lead"]
        if lead.lower() not in _ONE_LEADS and not is_adjective(lead) and not lead.endswith(("ed", "ing")):
            return match[0]
        return f"{lead} {singular(noun) if match['one'].lower() == 'one' else plural(noun)}"

    text = _ONE.sub(named, text)
    text = _THOSE.sub(f"the {plural(noun)}", text)
    text = _WHICH.sub(
        lambda match: f"{match[0]} {plural(noun) if match[1] in ('are', 'have') else singular(noun)}", text
    )
    text = _OTHERS.sub(f"the other {plural(noun)}", text)
    bare = _HOW_MANY.search(text)
    if bare:
        behind = text[bare.end() :].strip(" ?") or "are there"
        text = f"{text[: bare.end()]} {plural(noun)} {behind}?"
    return text


def antecedent(word: str, mentions: Iterable[Mention]) -> Mention | None:
    """Return what a pronoun means: the first mention that agrees with it, else the first that could."""
    mentions = list(mentions)
    sure = next((mention for mention in mentions if _agrees(word, mention)), None)
    if sure:
        return sure
    if word in _PLURAL:
        return mentions[0] if mentions else None
    if word in _MALE | _FEMALE and (several := next(filter(_are_people, mentions), None)):
        return Mention(f"the {singular(several.noun)}", many=False)  # one of them
    return next((mention for mention in mentions if not mention.many), mentions[0] if mentions else None)


def _are_people(mention: Mention) -> bool:
    return mention.many and singular(mention.noun).lower() in words.PEOPLE


def _agrees(word: str, mention: Mention) -> bool:
    noun = mention.noun.lower()
    if word in _MALE | _FEMALE:
        return not mention.many and noun in words.PEOPLE - (words.FEMALE if word in _MALE else words.MALE)
    if word in _NEUTER:
        return not mention.many and noun not in words.PEOPLE
    return mention.many


def _in_place(match: re.Match[str], meant: Mention, text: str) -> str:
    word, verb, phrase = match["word"].lower(), match["verb"], meant.phrase
    if word in _POSSESSIVE or (word == "her" and _noun_follows(text[match.end() :])):
        return phrase + ("'" if phrase.endswith("s") else "'s")
    if verb:
        return f"{phrase} {'are' if meant.many else 'is'}"
    return phrase


def _noun_follows(rest: str) -> bool:
    found = tokens(rest[:40])
    return bool(found) and bool(core(found[0])) and found[0].lower() not in words.VERBS


def _resolve_those(text: str, mentions: Sequence[Mention]) -> str:
    def replace(match: re.Match[str]) -> str:
        next_word = re.match(r" (\w+)\W*$", text[match.end() :])
        if next_word and head(next_word[1]) and not match["one"] and next_word[1].endswith("s"):
            return match[0]  # "those chairs"
        meant = next((mention for mention in mentions if mention.many != bool(match["one"])), None)
        return meant.phrase if meant else match[0]

    return _DEMONSTRATIVE.sub(replace, text)


def complete(phrase: str, noun: str, many: bool) -> str:
    """Give a phrase the noun that it leaves out: `the smallest` -> `the smallest boat`."""
    if not noun or head(phrase):
        return phrase
    first = phrase.split(" ", 1)[0].lower()
    if first in words.PREPOSITIONS | words.RELATIVES | {"wearing", "holding"}:
        return f"the {plural(noun) if many else singular(noun)} {phrase}"
    leading = _QUANTIFIERS.match(phrase)
    adjectives = core(phrase)
    last = adjectives[-1] if adjectives else (leading[0].split() or [""])[-1] if leading else ""
    if not last:
        return phrase
    place = phrase.index(last, 0 if not adjectives else phrase.index(adjectives[0])) + len(last)
    several = names_many(phrase) or (many and not picks_one(last))
    return f"{phrase[:place]} {plural(noun) if several else singular(noun)}{phrase[place:]}"


def picks_one(adjective: str) -> bool:
    """Return whether an adjective picks one thing out of several: `smallest`, `other`, `left`."""
    lower = adjective.lower()
    return lower.endswith(("est", "er")) or lower in _CHOICES

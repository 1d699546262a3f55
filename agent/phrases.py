"""Noun phrases: where they stand in a text, what their head is, how many things they name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import words

_TOKEN = re.compile(r"[\w'-]+|[^\w\s]")
_STOPS = words.PREPOSITIONS | words.RELATIVES | words.AUXILIARIES | words.CONJUNCTIONS | words.PRONOUNS
_STOPS |= words.ADVERBS - {"right", "just", "only", "really", "very"}
_STOPS -= {"nearest", "closest", "farthest"}
# These end a phrase behind its noun but may stand before it: "the parked car", "the closest door".
_STOPS_BEHIND = words.VERBS | {"nearest", "closest", "farthest"}
_ARTICLES = words.DETERMINERS - {"that", "what", "which", "no", "some", "any", "whose"}
_OPENING = _ARTICLES | words.word_set("some any whose two three four five six seven eight nine ten")
_PARTICIPLE = re.compile(r"\w+ing$|\w{3,}(?<!se)(?<!we)(?<!ee)(?<!spe)ed$")
_SUPERLATIVE = re.compile(r"\w{2,}est$")
_SIDES = words.word_set("left right middle back front top bottom")
_DEFINITE = words.word_set("the this that these those my your our his her their its")
_INVARIANT = words.word_set("sheep deer fish")
_ONES = {"one", "ones"}
# A sentence opens with one of these or has a verb of its own; a phrase may have one behind "who" or "with".
_COMMANDS = words.phrases(
    "ignore, forget, print, stop, go, come, be, close, run, send, buy, call, remember, repeat, act, turn, "
    "start, wait, listen, change, reset, delete, save, export, upload, let, don't, do not, never"
)
STATEMENT = words.compiled(
    rf"(?:{words.any_of(_COMMANDS)}|i|i'm|we|you|he|she|it|it's|they|my|this|that|that's|these|those|there|"
    r"if|because|as|since|when|once)\b|"
    rf".*\s(?:{words.one_of(words.AUXILIARIES)}|looks?|seems?|love|likes?|wants?|needs?|got)\b"
    r"(?! (?:in|on|at)$)"
)
_RELATIVE = words.compiled(r"\b(?:who|that|which|whose|where|with)\b")
_OPENING_DETERMINERS = words.compiled(rf"^(?:(?:{words.one_of(_OPENING)}|of) )+")
_LONGEST_PHRASE = 14


@dataclass(frozen=True)
class Chunk:
    """A noun phrase without what follows its head: the characters `start:end` of a text."""

    text: str
    start: int
    end: int


def tokens(text: str) -> list[str]:
    """Return the words and marks of `text`."""
    return _TOKEN.findall(text)


def core(phrase: str) -> list[str]:
    """Return the words of a phrase up to and with its head, without determiners."""
    found: list[str] = []
    for word in tokens(phrase):
        lower = word.lower()
        if not found and (lower in words.DETERMINERS or lower in words.PLURAL_DETERMINERS or lower == "of"):
            continue
        if lower in {"and", "or", ","} and found and is_adjective(found[-1]):
            continue  # "the red and white car"
        if (found and lower in _OPENING) or _ends_phrase(lower, found[-1] if found else ""):
            break
        found.append(word)
    return found


def head(phrase: str) -> str:
    """Return the head noun of a phrase, `""` where there is none: `the red car by the tree` -> `car`."""
    found = core(phrase)
    return "" if not found or is_adjective(found[-1]) else found[-1]


def noun_of(phrase: str) -> str:
    """Return the noun that a phrase with a noun is about, also one that may be an adjective: `red light`."""
    found = core(phrase)
    return found[-1] if len(found) > 1 else head(phrase)


def is_adjective(word: str) -> bool:
    """Return whether a word stands for a noun just spoken of (`the left`, `the smallest`, `the red`)."""
    lower = word.lower()
    return lower in words.ADJECTIVES or bool(_SUPERLATIVE.match(lower) and lower not in words.NOT_SUPERLATIVE)


def is_plural_noun(noun: str) -> bool:
    """Return whether a noun is plural by its form."""
    lower = noun.lower()
    if lower in words.IRREGULAR_PLURALS:
        return True
    return len(lower) > 2 and lower.endswith("s") and not lower.endswith(("ss", "'s")) and (
        lower not in words.SINGULAR_IN_S
    )  # fmt: skip


def names_many(phrase: str) -> bool:
    """Return whether a phrase asks for several things: a plural, `every ...`, or a list."""
    found = tokens(phrase.lower())
    if found and found[0] in words.PLURAL_DETERMINERS:
        return True
    if len(found) > 1 and found[0] in _ARTICLES and found[1] in words.PLURAL_DETERMINERS:
        return True
    noun = head(phrase)
    if noun.lower() in words.PAIRS:
        return found[0] not in _ARTICLES or _is_list(phrase)
    if noun.lower() in _INVARIANT and any(_SUPERLATIVE.match(word) for word in found):
        return _is_list(phrase)
    return is_plural_noun(noun) or _is_list(phrase)


def _is_list(phrase: str) -> bool:
    """Return whether two things are joined: `a cat and a dog`, `cup, plate`, not `red and white car`."""
    found = core(phrase)
    behind = tokens(phrase)
    if not found or is_adjective(found[-1]):
        return False
    place = behind.index(found[-1]) + 1
    rest = behind[place : place + 2]
    return len(rest) == 2 and rest[0].lower() in {"and", "or", ",", "/"} and (
        rest[1].isalnum() and rest[1].lower() not in words.RELATIVES | words.PREPOSITIONS
    )  # fmt: skip


def singular(noun: str) -> str:
    """Return the singular of a noun."""
    lower = noun.lower()
    if lower in words.IRREGULAR_PLURALS:
        return words.IRREGULAR_PLURALS[lower]
    if not is_plural_noun(noun):
        return noun
    if lower.endswith("ies") and len(lower) > 4:
        return noun[:-3] + "y"
    if lower.endswith(("sses", "shes", "ches", "xes", "oes")):
        return noun[:-2]
    return noun[:-1]


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    lower = noun.lower()
    if is_plural_noun(noun) or not noun:
        return noun
    for form, base in words.IRREGULAR_PLURALS.items():
        if base == lower:
            return form
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if lower.endswith(("s", "sh", "ch", "x")) else "s")


def chunks(text: str) -> list[Chunk]:
    """Return the noun phrases of a text that open with a determiner, in order."""
    found: list[Chunk] = []
    start: int | None = None
    end, last = 0, ""
    for match in _TOKEN.finditer(text):
        lower = match[0].lower()
        if start is not None and (lower in _OPENING or _ends_phrase(lower, last)):
            found += [Chunk(text[start:end], start, end)] if last else []
            start = None
        if start is None and lower in _OPENING:
            start, last = match.start(), ""
        elif start is not None:
            end, last = match.end(), lower
    if start is not None and last:
        found.append(Chunk(text[start:end], start, end))
    return found


def without_determiner(phrase: str) -> str:
    """Return a phrase without the determiners that it opens with: `all of the red cars` -> `red cars`."""
    return _OPENING_DETERMINERS.sub("", phrase)


def definite(phrase: str) -> str:
    """Return a phrase as something already spoken of: `a dog` -> `the dog`, `chairs` -> `the chairs`."""
    first = phrase.split(" ", 1)[0].lower()
    if first in _DEFINITE:
        return phrase
    return "the " + without_determiner(phrase)


def is_phrase(text: str) -> bool:
    """Return whether a text is a bare phrase, such as `the man who waves` or `on the left`."""
    if not text or len(text.split()) > _LONGEST_PHRASE or not text[0].isalnum():
        return False
    return not STATEMENT.match(_RELATIVE.split(text, maxsplit=1)[0].strip() or text)


def _ends_phrase(word: str, last: str) -> bool:
    """Return whether a noun phrase whose last word is `last` (`""` before the first) stops before `word`."""
    if word in _ONES:
        return False
    if word in _STOPS or not (word[0].isalnum() or word[0] == "'"):
        return True
    if last in _SIDES and _PARTICIPLE.match(word):
        return True
    if not last or is_adjective(last):
        return False
    return word in _STOPS_BEHIND or bool(_PARTICIPLE.match(word) and word not in words.ING_NOUNS)

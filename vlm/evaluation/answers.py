"""Compare text answers: exactly, by VQAv2's accuracy, and as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BETWEEN_THINGS = re.compile(r",(?:\s*and\s)?|\sand\s", re.IGNORECASE)
_ARTICLES = ("a", "an", "the")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def normalise(answer: str) -> str:
    """Return an answer in lower case without punctuation and articles, unless nothing else is left."""
    words = re.findall(r"[a-z0-9']+", answer.lower())
    return " ".join(word for word in words if word not in _ARTICLES) or answer.lower().strip()


def things(answer: str) -> list[str]:
    """Split an answer into normalised things: "a cat and a dog" -> cat, dog."""
    return [normalise(part) for part in _BETWEEN_THINGS.split(answer)]


def same_answer(predicted: str, wanted: str) -> bool:
    """Return whether two answers name the same things, in any order."""
    return set(things(predicted)) == set(things(wanted))


def number_in(answer: str) -> int | None:
    """Return the first number in an answer, in digits or words up to ten."""
    match = re.search(rf"\d+|\b(?:{'|'.join(_NUMBERS)})\b", answer.lower())
    if match is None:
        return None
    return int(match[0]) if match[0].isdigit() else _NUMBERS.index(match[0])


def vqa_accuracy(predicted: str, answers: Sequence[str]) -> float:
    """Return VQAv2's accuracy of an answer against those of (ten) people, 0..1.

    Three matching answers count as right; the mean is taken over leaving out each person in turn
    (arXiv 1505.00468, section 5, and the official evaluation).
    """
    given = [vqa_normalise(answer) for answer in answers]
    same = given.count(vqa_normalise(predicted))
    others = (same - (answer == vqa_normalise(predicted)) for answer in given)
    return sum(min(count / 3, 1.0) for count in others) / len(given)


_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGITS = {word: str(value) for value, word in enumerate(_NUMBERS)} | {"none": "0"}
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll ma'am mightn't
mightn't've might've mustn't must've needn't not've o'clock oughtn't shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd
they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
# Contractions that lack one of their apostrophes.
_REPAIRED = {
    word[: match.start()] + word[match.end() :]: word
    for word in _CONTRACTIONS.split()
    for match in re.finditer("'", word)
}


def vqa_normalise(answer: str) -> str:
    """Normalise an answer as VQAv2's evaluation does: digits, no articles, no punctuation, apostrophes.

    The published answers are already normalised.
    """
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    dropped = re.search(r"\d,\d", text) is not None
    plain = text
    for mark in _PUNCTUATION:
        adjoins_space = f"{mark} " in text or f" {mark}" in text
        plain = plain.replace(mark, "" if dropped or adjoins_space else " ")
    plain = re.sub(r"\.(?!\d)", "", plain)
    words = (_DIGITS.get(word, word) for word in plain.lower().split())
    return " ".join(_REPAIRED.get(word, word) for word in words if word not in _ARTICLES)

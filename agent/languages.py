"""Requests in other languages, read by the keyword tables of `lexicons_latin` and `lexicons_other`."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ..vlm.tasks import Task
from . import words
from .classify import Kind, Reading
from .lexicons import Lexicon
from .lexicons_latin import LATIN
from .lexicons_other import OTHER

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_ENGLISH = words.word_set(
    "the a an is are where what who how which find show me of in on with and please describe this "
    "that there picture image photo it to for can you do does have has all many any see his her their "
    "i my at from not your be by or was he she they"
)
# English words that another language has too count for neither.
_SHARED = words.word_set("a an in on is me of man no hat die was o as i e do the image photo see")
_UNFOLDED = str.maketrans("łđıøßŁĐİ", "ldiosLDI")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*'?")
_LONGEST_BARE = 2
_MARKS = " ?!.,;:\u3002\uff1f\uff01\u3001"


def read(text: str, has_region: bool) -> Reading | None:
    """Read a message in another language; None if it is English, or in no language known here."""
    lexicon, folded = _lexicon_of(text)
    if lexicon is None:
        return None
    task, why = _task(lexicon, folded, has_region)
    if task in (Task.REFER, Task.DETECTION):
        return Reading(Kind.REQUEST, task, _argument(lexicon, text, folded), why)
    if task in (Task.CAPTION, Task.GROUNDING):
        return Reading(Kind.REQUEST, task, "", why)
    if task is None and _continues(lexicon, folded):
        return Reading(Kind.FRAGMENT, None, _bare(lexicon, text, folded), why)
    return Reading(Kind.REQUEST, task, text, why, about_region=task is Task.IDENTIFY)


def fold(text: str) -> str:
    """Return `text` in lower case without accents, character by character, so that places stay the same."""
    return "".join(unicodedata.normalize("NFD", letter)[0] for letter in text.lower().translate(_UNFOLDED))


def _lexicon_of(text: str) -> tuple[Lexicon | None, str]:
    for language, script in _SCRIPTS:
        # A name or a quoted word in another script does not change the language of a message.
        if len(script.findall(text)) * 2 > len(_WORD.findall(text)):
            return OTHER[language], text.lower()
    folded = fold(text)
    found = [word for word in _WORD.findall(folded.replace("'", "' ")) if len(word) > 1]
    english = sum(word in _ENGLISH - _SHARED for word in found)
    best, score = None, 0
    for language, lexicon in LATIN.items():
        count = sum(word in _marks(language) for word in found)
        count += bool(set(text.lower()) & set(_letters(language)))
        if count > score:
            best, score = lexicon, count
    return (best, folded) if score > english and score * 4 >= len(found) else (None, folded)


@cache
def _marks(language: str) -> frozenset[str]:
    return frozenset(_WORD.findall(fold(LATIN[language].marks).replace("'", "' "))) - _SHARED


@cache
def _letters(language: str) -> str:
    """Return the accented letters that only this language's table has."""
    own = {letter for letter in LATIN[language].marks if ord(letter) > 127}
    return "".join(own)


@cache
def _pattern(alternatives: str) -> re.Pattern[str]:
    boundary = r"(?<!\w)" if re.match(r"[\W\w]*[a-z\u0430-\u044f]", alternatives) else ""
    return re.compile(f"{boundary}(?:{alternatives})")


def _task(lexicon: Lexicon, text: str, has_region: bool) -> tuple[Task | None, str]:
    def has(alternatives: str) -> bool:
        return bool(_pattern(alternatives).search(text))

    places = has(lexicon.where) or has(lexicon.find)
    if has_region and has(lexicon.this) and not has(lexicon.picture):
        return Task.IDENTIFY, "it asks what stands in that region"
    if has(lexicon.make) or has(lexicon.world) or (_pattern(lexicon.talk).match(text) and not places):
        return None, "it is conversation that needs no picture"
    if (has(lexicon.describe) or has(lexicon.overview)) and has(lexicon.detail):
        return Task.GROUNDING, "it asks for a detailed description, or one with boxes"
    if has(lexicon.overview) or (
        has(lexicon.describe) and (has(lexicon.picture) or len(text.split()) <= _LONGEST_BARE)
    ):
        return Task.CAPTION, "it asks what the whole picture shows"
    if places:
        many = has(lexicon.many)
        return (
            (Task.DETECTION, "it asks where several things are")
            if many
            else (Task.REFER, "it asks where one thing is")
        )
    if (
        (text.rstrip().endswith("?") and not _continues(lexicon, text))
        or has(lexicon.question)
        or has(lexicon.describe)
    ):
        return Task.VQA, "it is a question about the picture"
    return None, "it asks for nothing in the picture"


def _argument(lexicon: Lexicon, text: str, folded: str) -> str:
    """Return what to find: the text without the words that ask for it."""
    asking = re.compile(f"{_pattern(lexicon.where).pattern}\\w*|{_pattern(lexicon.find).pattern}[\\w-]*")
    pieces: list[str] = []
    cursor = 0
    for match in asking.finditer(folded):
        pieces.append(text[cursor : match.start()])
        cursor = match.end()
    rest = " ".join("".join([*pieces, text[cursor:]]).split()).strip(_MARKS)
    return rest or text


def _continues(lexicon: Lexicon, folded: str) -> bool:
    return bool(re.match(rf"(?:{lexicon.lead})(?!\w)\s*\S", folded)) and len(folded) < 60


def _bare(lexicon: Lexicon, text: str, folded: str) -> str:
    match = re.match(rf"(?:{lexicon.lead})\s*", folded)
    return text[match.end() :].strip(_MARKS) if match else text

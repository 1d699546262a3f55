"""The message as the planner reads it: one spelling of spaces and quotes, shorthand and slips put right."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from . import words

_CHARACTERS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | {"\u2014": ", ", "\u2013": "-"}
)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\ufe0f\u00ad]")
_SPACES = re.compile(r"[^\S\n]+")
_QUOTED = re.compile(r"\"[^\"\n]*\"|(?<![^\s(:])'(?! )[^'\n]*'(?![^\s.,;:!?)])")
_PLACEHOLDER = re.compile(r"\"q(\d{1,4})q\"")

SHORTHAND = {
    "u": "you", "ur": "your", "r": "are", "pls": "please", "plz": "please", "plse": "please", "w/": "with",
    "w/o": "without", "&": "and", "n": "and", "wheres": "where's", "whats": "what's", "whos": "who's",
    "hows": "how's", "gimme": "give me", "lemme": "let me", "wanna": "want to", "gonna": "going to",
    "thsi": "this", "tihs": "this", "htis": "this", "teh": "the", "hte": "the", "th": "the",
    "wher": "where", "whre": "where", "wehre": "where", "were's": "where's",
    "wat": "what", "wut": "what", "waht": "what", "whta": "what", "wht": "what", "hwat": "what", "hw": "how",
    "fnd": "find", "fidn": "find", "findd": "find", "sho": "show", "shwo": "show", "im": "i'm",
    "dont": "don't", "isnt": "isn't", "arent": "aren't", "doesnt": "doesn't", "cant": "can't",
    "didnt": "didn't",
    "theres": "there's", "thats": "that's", "its'": "its", "thx": "thanks", "tnx": "thanks", "ty": "thanks",
    "bbox": "bounding box", "bboxes": "bounding boxes", "boxs": "boxes", "bx": "box",
    "coords": "coordinates", "alot": "a lot",
    "abt": "about", "ppl": "people", "hav": "have", "evry": "every", "evrything": "everything", "al": "all",
    "cna": "can", "colr": "color", "colur": "colour", "wich": "which", "whcih": "which", "mny": "many",
    "teel": "tell", "tel": "tell", "ther": "there", "hilight": "highlight", "hilite": "highlight",
}  # fmt: skip

# The words that decide what a message asks for; a near miss of one is read as that word.
_KEYWORDS = sorted(
    words.word_set(
        "picture pictures image images photo photos photograph describe description detail details "
        "detailed detect locate location coordinates caption identify highlight object objects bounding "
        "boxes grounded please mention summarize everything something where which what"
    )
)
# Real words that a keyword is near to.
_REAL = words.word_set(
    "ground grounds identity bouncing boxers boxer defect defects retail captain wheat whats thing things "
    "abject vocation descried locale locals imagine imagined imaging bound pitcher pitchers scripture detain "
    "dental wheres watch objection there these"
)
_BY_LETTER: dict[str, tuple[str, ...]] = {
    letter: tuple(word for word in _KEYWORDS if word[0] == letter)
    for letter in {word[0] for word in _KEYWORDS}
}
_WORD = re.compile(r"(?<![\w'])(?:w/o|w/(?=\s)|&(?=\s)|[a-z]{1,14}'?[a-z]{0,2})(?![\w'])", re.IGNORECASE)


def normalise(message: str) -> str:
    """Return `message` in one Unicode form, with plain quotes and single spaces; line breaks stay."""
    text = unicodedata.normalize("NFKC", message).translate(_CHARACTERS)
    text = _SPACES.sub(" ", _INVISIBLE.sub("", text))
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def mask_quotes(text: str) -> tuple[str, list[str]]:
    """Replace each quoted piece by a placeholder, so that nothing inside quotes reads as a request."""
    if text[:1] == text[-1:] == '"' and text.count('"') == 2:
        return text[1:-1].strip(), []
    pieces: list[str] = []

    def keep(match: re.Match[str]) -> str:
        pieces.append(match[0])
        return f'"q{len(pieces) - 1}q"'

    return _QUOTED.sub(keep, text), pieces


def unmask_quotes(text: str, pieces: list[str]) -> str:
    """Put the quoted pieces back in place of their placeholders."""

    def restore(match: re.Match[str]) -> str:
        index = int(match[1])
        return pieces[index] if index < len(pieces) else match[0]

    return _PLACEHOLDER.sub(restore, text)


def correct(text: str) -> str:
    """Write out shorthand and put right the misspelt words that decide what a message asks for."""
    return _WORD.sub(lambda match: _corrected(match[0]), text)


@lru_cache(maxsize=4096)
def _corrected(word: str) -> str:
    lower = word.lower()
    if lower in SHORTHAND:
        return SHORTHAND[lower]
    if len(lower) < 4 or lower in _REAL or any(lower.startswith(key) for key in _BY_LETTER.get(lower[0], ())):
        return word
    # The first two letters may have changed places.
    candidates = _BY_LETTER.get(lower[0], ()) + _BY_LETTER.get(lower[1], ())
    return next((key for key in candidates if _is_slip(lower, key)), word)


def _is_slip(word: str, keyword: str) -> bool:
    """Return whether `word` is a likely slip for `keyword`: the longer, the more may differ."""
    if sorted(word) == sorted(keyword):
        return _distance(word, keyword) == 1
    allowed = 2 if len(keyword) >= 8 else 1
    if len(keyword) < 5 or abs(len(word) - len(keyword)) > allowed:
        return False
    same_length = len(word) == len(keyword)
    return not (same_length and len(keyword) < 7) and _distance(word, keyword) <= allowed


def _distance(first: str, second: str) -> int:
    """Return the edits between two words, two neighbours that changed places counting as one."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, previous, row = row, before, [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
    return row[-1]

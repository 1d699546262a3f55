"""Find the referents that people boxed in a photo, their names, and which names are unique.

Based on the phrases of Flickr30k Entities. Five people caption each photo, so a referent has several names;
an ambiguous name is kept, but not used as a referring expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ..grounding import Box, GroundedPhrase, GroundedText, intersection_over_union
from .expressions import CONFIDENT
from .nouns import CLASS_OF, class_of, plural
from .photos import Photo, Phrase

# Boxes with a higher IoU are one object.
SAME_THING = 0.5
# A phrase with more boxes is a crowd, of which people box only some.
CROWD = 6

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z]+)*")
_DETERMINERS = {
    "a", "an", "the", "his", "her", "its", "their", "some", "this", "that", "these", "those", "another",
    "other", "both", "each", "all", "several", "many", "various", "few", "one",
}  # fmt: skip
COLOURS = {
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown", "gray", "grey",
    "tan",
}  # fmt: skip
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
# Names that mean nothing outside their sentence.
_VAGUE = {
    "it", "he", "she", "him", "her", "them", "they", "himself", "herself", "itself", "themselves", "which",
    "who", "that", "this", "one", "ones", "another", "other", "others", "something", "someone", "each",
    "both", "what", "all", "two", "three", "four", "five", "six", "front", "back", "side", "top", "bottom",
    "middle", "background", "distance", "foreground", "center", "edge", "end", "air", *COLOURS,
}  # fmt: skip
_PREPOSITIONS = {
    "in", "on", "at", "with", "by", "near", "from", "of", "to", "for", "behind", "beside", "under", "over",
    "wearing", "holding", "while", "who", "that", "which",
}  # fmt: skip
_GROUPS = {
    "group", "pair", "couple", "crowd", "bunch", "team", "pack", "herd", "flock", "line", "row", "set",
    "piece", "number", "lot", "body", "kind", "type",
}  # fmt: skip
# Words that join two phrases into a longer name of the first: "a man in a red shirt" ...
_PLACE_JOINTS = {"in", "with", "on", "near", "behind", "next to", "beside", "in front of"}
# ... and those that only people and animals go with.
_ACTION_JOINTS = {
    "wearing", "dressed in", "wearing only", "and wearing", "holding", "carrying", "riding", "sitting on",
    "pulling", "standing on", "standing next to", "pushing", "playing", "using",
}  # fmt: skip
_LIVING = {"people", "animals"}
WEARING = {"in", "wearing", "dressed in", "wearing only"}
"""Words between a person and their clothes."""


@dataclass(frozen=True)
class Referent:
    """A thing or a group of things, its names as people wrote them, and its boxes from left to right."""

    chain: str
    type: str
    names: tuple[str, ...]
    boxes: tuple[Box, ...]

    @property
    def box(self) -> Box:
        """The box of a referent with one box."""
        return self.boxes[0]


@dataclass(frozen=True)
class Name:
    """A unique name of a referent, without its article.

    A `joined` name includes a second phrase of the caption: "man in a red shirt".
    """

    text: str
    referent: Referent
    joined: bool = False

    @property
    def definite(self) -> str:
        """The name with the definite article."""
        return f"the {self.text}"


@lru_cache(maxsize=1 << 16)
def strip_determiner(name: str) -> str:
    """Lower a name and drop its article, possessive or number: "Two brown dogs" -> "brown dogs"."""
    words = name.lower().split()
    while len(words) > 1 and words[0] in _DETERMINERS | set(NUMBERS):
        words = words[1:]
    return " ".join(words)


@lru_cache(maxsize=1 << 16)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name without its determiner."""
    return tuple(_WORD.findall(strip_determiner(name)))


@lru_cache(maxsize=1 << 16)
def head(name: str) -> str:
    """Return the head noun of a name: "a man in blue" -> "man", "a group of girls" -> "girls"."""
    words = list(words_of(name))
    while words and words[0] in _GROUPS and "of" in words[:2]:
        words = words[words.index("of") + 1 :]
    cut = next((i for i, word in enumerate(words) if word in _PREPOSITIONS and i > 0), len(words))
    return words[cut - 1] if words else ""


def is_plural(name: str) -> bool:
    """Return whether a name means several things."""
    words, noun = words_of(name), head(name)
    if not words:
        return False
    first = name.lower().split()[0]
    several = first in NUMBERS or first in ("several", "many", "both", "some")
    return several or (words[0] != noun and words[0] in _GROUPS) or noun in _PLURALS


_PLURALS = {plural(noun) for noun in CLASS_OF} | {"people", "men", "women", "children"}


def referents(photo: Photo) -> list[Referent]:
    """Return the boxed referents of a photo, in the order of its captions."""
    chains: dict[str, list[Phrase]] = {}
    for phrase in photo.phrases:
        if phrase.boxes and head(phrase.text) not in _VAGUE:
            chains.setdefault(phrase.chain, []).append(phrase)
    return [
        Referent(
            chain,
            phrases[0].type,
            tuple(dict.fromkeys(phrase.text for phrase in phrases)),
            to_boxes(phrases[0].boxes),
        )
        for chain, phrases in chains.items()
    ]


def to_boxes(boxes: Iterable[tuple[float, float, float, float]]) -> tuple[Box, ...]:
    """Return boxes in bins, left to right."""
    return tuple(sorted((Box.from_fractions(*box) for box in boxes), key=lambda box: (box.x0, box.y0)))


def unique_names(photo: Photo) -> list[Name]:
    """Return the names that mean exactly one box, each once.

    Excludes names that another referent shares or narrows ("a man" if there is "a man in blue"), plural
    names, and single nouns if the detector found a second object of their class.
    """
    found: dict[str, Name] = {}
    things = referents(photo)
    joined = {it.chain: set(_joined_names(photo, it)) - set(it.names) for it in things}
    mentions = _phrase_words(photo)
    # Compare joined names with the joined names of other referents as well.
    said = mentions + [(chain, frozenset(words_of(it))) for chain, names in joined.items() for it in names]
    for referent in things:
        if len(referent.boxes) != 1:
            continue
        from_two_phrases = joined[referent.chain]
        for name in (*referent.names, *sorted(from_two_phrases)):
            text, others = strip_determiner(name), said if name in from_two_phrases else mentions
            if text not in found and _singles_out(photo, name, referent, others):
                found[text] = Name(text, referent, name in from_two_phrases)
    return list(found.values())


def grounded_captions(photo: Photo) -> list[GroundedText]:
    """Return each caption with its boxed phrases, except crowds."""
    found = []
    for index, caption in enumerate(photo.captions):
        phrases = [it for it in photo.phrases if it.caption == index and 0 < len(it.boxes) <= CROWD]
        grounded: list[GroundedPhrase] = []
        for phrase in sorted(phrases, key=lambda it: it.start):
            if not grounded or phrase.start >= grounded[-1].end:
                grounded.append(GroundedPhrase(phrase.text, to_boxes(phrase.boxes), phrase.start))
        if grounded:
            found.append(GroundedText(caption, tuple(grounded)))
    return found


def adjacent_phrases(photo: Photo) -> Iterator[tuple[Phrase, str, Phrase]]:
    """Yield pairs of consecutive phrases of a caption, with the words between them."""
    ordered = sorted(photo.phrases, key=lambda it: (it.caption, it.start))
    for first, second in pairwise(ordered):
        if first.caption == second.caption and first.end < second.start and photo.captions:
            yield first, photo.captions[first.caption][first.end : second.start].strip().lower(), second


def may_show(photo: Photo, name: str) -> bool:
    """Return whether a caption, a phrase or a detection hints at a thing of this name."""
    noun = head(name)
    labels = {label for label in (class_of(noun), class_of(strip_determiner(name))) if label is not None}
    texts = (*photo.captions, *(it.text for it in photo.phrases), *photo.labels)
    said = {word for text in texts for word in words_of(text)}
    if said & {noun, plural(noun), noun.removesuffix("s"), noun.removesuffix("es")}:
        return True
    return not labels.isdisjoint(photo.labels) or any(class_of(word) in labels for word in said)


def _phrase_words(photo: Photo) -> list[tuple[str, frozenset[str]]]:
    """Return the chain and words of every phrase, including the singular of plural heads."""
    found = []
    for phrase in photo.phrases:
        words = set(words_of(phrase.text))
        noun = head(phrase.text)
        words |= {single for single in (_SINGULAR.get(noun), noun.removesuffix("s")) if single}
        found.append((phrase.chain, frozenset(words)))
    return found


_SINGULAR = {plural(noun): noun for noun in CLASS_OF}


def _singles_out(
    photo: Photo, name: str, referent: Referent, mentions: list[tuple[str, frozenset[str]]]
) -> bool:
    words, noun = set(words_of(name)), head(name)
    if not noun or noun in _VAGUE or is_plural(name) or name.lower().split()[0] in ("another", "other"):
        return False
    if any(chain != referent.chain and words <= said for chain, said in mentions):
        return False
    return len(words) > 1 or not _has_rival(photo, noun, referent.box)


def _has_rival(photo: Photo, noun: str, box: Box) -> bool:
    label = class_of(noun)
    return label is not None and any(
        item.label == label
        and item.score >= CONFIDENT
        and intersection_over_union(Box.from_fractions(*item.box).bins, box.bins) < SAME_THING
        for item in photo.objects
    )


def _joined_names(photo: Photo, referent: Referent) -> Iterator[str]:
    """Yield names of a referent that include another phrase: "a man in a red shirt"."""
    for first, joint, second in adjacent_phrases(photo):
        joints = _PLACE_JOINTS | _ACTION_JOINTS if first.type in _LIVING else _PLACE_JOINTS
        narrows = joint in joints and head(second.text) not in _VAGUE and not is_plural(first.text)
        if narrows and first.chain == referent.chain and second.chain != first.chain:
            yield photo.captions[first.caption][first.start : second.end]

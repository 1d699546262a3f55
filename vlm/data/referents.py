"""What people boxed in a photo: referents, their names, and which names mean one of them alone.

From the phrases of Flickr30k Entities. Five people name the same thing, so a referent has several names; a
name that may mean another referent too is kept, but is not used to single it out.
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

# Boxes that overlap more are of one thing.
SAME_THING = 0.5
# A phrase with more boxes than this is a crowd: people box some of it only.
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
# Names that mean nothing outside of their sentence.
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
# What may join a phrase to the next one so that both together name the first: "a man in a red shirt".
_PLACE_JOINTS = {"in", "with", "on", "near", "behind", "next to", "beside", "in front of"}
# ... which only people and animals do.
_ACTION_JOINTS = {
    "wearing", "dressed in", "wearing only", "and wearing", "holding", "carrying", "riding", "sitting on",
    "pulling", "standing on", "standing next to", "pushing", "playing", "using",
}  # fmt: skip
_LIVING = {"people", "animals"}
WEARING = {"in", "wearing", "dressed in", "wearing only"}
"""What joins a person to what they wear."""


@dataclass(frozen=True)
class Referent:
    """A thing or a group of things, its names as people wrote them, and its boxes left to right."""

    chain: str
    type: str
    names: tuple[str, ...]
    boxes: tuple[Box, ...]

    @property
    def box(self) -> Box:
        """The box of a single thing."""
        return self.boxes[0]


@dataclass(frozen=True)
class Name:
    """A name that means one referent alone, without its article, and the referent.

    A `joined` name speaks of a second phrase of the caption: "man in a red shirt".
    """

    text: str
    referent: Referent
    joined: bool = False

    @property
    def definite(self) -> str:
        """The name with the article that people ask for it by."""
        return f"the {self.text}"


@lru_cache(maxsize=1 << 16)
def strip_determiner(name: str) -> str:
    """Return a name in lower case without article, possessive or number: "Two brown dogs" -> "brown dogs"."""
    words = name.lower().split()
    while len(words) > 1 and words[0] in _DETERMINERS | set(NUMBERS):
        words = words[1:]
    return " ".join(words)


@lru_cache(maxsize=1 << 16)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name without article."""
    return tuple(_WORD.findall(strip_determiner(name)))


@lru_cache(maxsize=1 << 16)
def head(name: str) -> str:
    """Return the noun that a name is about: "a man in blue" -> "man", "a group of girls" -> "girls"."""
    words = list(words_of(name))
    while words and words[0] in _GROUPS and "of" in words[:2]:
        words = words[words.index("of") + 1 :]
    cut = next((i for i, word in enumerate(words) if word in _PREPOSITIONS and i > 0), len(words))
    return words[cut - 1] if words else ""


def is_plural(name: str) -> bool:
    """Whether a name says that it means several things."""
    words, noun = words_of(name), head(name)
    if not words:
        return False
    first = name.lower().split()[0]
    several = first in NUMBERS or first in ("several", "many", "both", "some")
    return several or (words[0] != noun and words[0] in _GROUPS) or noun in _PLURALS


_PLURALS = {plural(noun) for noun in CLASS_OF} | {"people", "men", "women", "children"}


def referents(photo: Photo) -> list[Referent]:
    """Return what people boxed in a photo, in the order in which captions name it."""
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

    A rule abstains where another referent has the same name or a narrower one ("a man" beside "a man in
    blue"), where the name is plural, and, for a noun alone, where a detector saw a second thing of its class.
    """
    found: dict[str, Name] = {}
    things = referents(photo)
    joined = {it.chain: set(_joined_names(photo, it)) - set(it.names) for it in things}
    mentions = _phrase_words(photo)
    # What one joined name says of its thing may be said of another one only by a joined name too.
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
    """Return each caption with all of its phrases that people boxed, none of them a crowd."""
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
    """Yield two phrases of a caption that stand next to each other, and the words between them."""
    ordered = sorted(photo.phrases, key=lambda it: (it.caption, it.start))
    for first, second in pairwise(ordered):
        if first.caption == second.caption and first.end < second.start and photo.captions:
            yield first, photo.captions[first.caption][first.end : second.start].strip().lower(), second


def may_show(photo: Photo, name: str) -> bool:
    """Whether anything hints that a thing of this name is in the photo: a caption, a phrase, a detector."""
    noun = head(name)
    labels = {label for label in (class_of(noun), class_of(strip_determiner(name))) if label is not None}
    texts = (*photo.captions, *(it.text for it in photo.phrases), *(it.label for it in photo.objects))
    said = {word for text in texts for word in words_of(text)}
    if said & {noun, plural(noun), noun.removesuffix("s"), noun.removesuffix("es")}:
        return True
    return any(it.label in labels for it in photo.objects) or any(class_of(word) in labels for word in said)


def _phrase_words(photo: Photo) -> list[tuple[str, frozenset[str]]]:
    """Return the chain and the words of every phrase, plural heads in the singular too."""
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
    """Yield names of a referent that speak of another phrase: "a man in a red shirt"."""
    for first, joint, second in adjacent_phrases(photo):
        joints = _PLACE_JOINTS | _ACTION_JOINTS if first.type in _LIVING else _PLACE_JOINTS
        tells = joint in joints and head(second.text) not in _VAGUE and not is_plural(first.text)
        if tells and first.chain == referent.chain and second.chain != first.chain:
            yield photo.captions[first.caption][first.start : second.end]


__all__ = [
    "COLOURS",
    "NUMBERS",
    "WEARING",
    "Name",
    "Referent",
    "adjacent_phrases",
    "grounded_captions",
    "head",
    "is_plural",
    "strip_determiner",
]
__all__ += ["may_show", "referents", "to_boxes", "unique_names", "words_of"]

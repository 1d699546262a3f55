"""Keyword tables of the languages other than English that the planner reads, one entry a language.

Every field is a list of alternatives of a regex, matched on lower-case text; in Latin scripts accents are
folded away on both sides (`où` and `ou` are one word), and an alternative begins at a word's beginning.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lexicon:
    """The words of one language that tell what a message asks for."""

    marks: str  # function words that tell this language from its neighbours (scripts tell the others)
    where: str  # "where", "location of"
    find: str  # "find", "show", "mark"
    many: str  # "all", "every", plural articles, "where are"
    describe: str  # "describe", "caption"
    detail: str  # "in detail", "with boxes", "with locations"
    picture: str  # "picture", "photo"
    overview: str  # "what is in the picture", "what do you see"
    this: str  # "what is this"
    question: str  # question words, "count", "is there"
    talk: str  # thanks, greetings, "who are you"
    make: str  # "write a poem", "translate"
    world: str  # general knowledge: "capital", "president"
    lead: str  # "and", "what about"

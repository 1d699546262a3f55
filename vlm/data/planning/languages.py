"""Fill the templates of `templates/languages.toml`: messages in languages other than English."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

# The number of fillings of each template.
FILLINGS = 14

Language = dict[str, Any]
_ARTICLE = re.compile(r"l'|\w+ ")


def foreign_messages(languages: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield language, template name, message and steps of all messages."""
    header, *rows = [line.split("|") for line in languages["nouns"].strip().splitlines()]
    nouns = [dict(zip(header, row, strict=True)) for row in rows]
    for code, language in languages.items():
        if code == "nouns":
            continue
        things = [_split(one) for one in language["phrases"].split(";")]
        things += [_thing(noun, code) for noun in nouns if code in noun]
        many: list[tuple[str, ...]] = [
            (several, "", "", english) for several, english in _pairs(language.get("many", ""))
        ]
        many += [_many(noun, code, language) for noun in nouns if code in noun]
        for number, line in enumerate(filter(None, language["templates"].splitlines())):
            random_ = random.Random(f"{code}:{number}")
            filled = {_fill(line, random_, things, many, language) for _ in range(FILLINGS)}
            for text in sorted(filled):
                message, _, steps = text.partition(" => ")
                yield code, f"gen:{code}:{number + 1}", message, steps


def _fill(
    line: str,
    random_: random.Random,
    things: list[tuple[str, ...]],
    many: list[tuple[str, ...]],
    language: Language,
) -> str:
    one, found, english = random_.choice(things)
    if not english.startswith("the ") and "qualities" in language and random_.random() < 0.3:
        pattern, translation = random_.choice(_pairs(language["qualities"]))
        one, found = pattern.replace("{one}", one), pattern.replace("{one}", found)
        english = translation.replace("{en}", english)
    several, those, every, plural = random_.choice(many)
    slots = {"one": one, "found": found, "many": several, "those": those, "all": every, "ens": plural}
    slots["en"] = english if english.startswith("the ") else f"the {english}"
    return re.sub(r"\{(\w+)\}", lambda slot: slots[slot[1]], line)


def _thing(noun: dict[str, str], code: str) -> tuple[str, ...]:
    one = noun[code]
    return one, re.sub("^der ", "den ", one) if code == "de" else one, noun["en"]


def _many(noun: dict[str, str], code: str, language: Language) -> tuple[str, ...]:
    """Return a plural without an article, with one, and with "all"."""
    several = noun.get(f"{code}.s", noun[code])
    match = _ARTICLE.match(noun[code])
    article = match[0].strip() if match else ""
    those, every = (f"{language.get(form, {}).get(article, '')} {several}" for form in ("those", "all"))
    return several, those, every, noun["en.s"]


def _pairs(text: str) -> list[tuple[str, ...]]:
    return [_split(one) for one in text.split(";") if one]


def _split(one: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in one.split("|"))

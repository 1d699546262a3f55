"""Read the hand-written vocabulary, and fill the slots of templates with it."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

# Maps slot names to the noun classes that fill them.
EVERYTHING = (
    "thing", "vehicle", "building", "food", "plant", "animal", "creature", "person", "screen", "flaw", "site",
)  # fmt: skip
CLASSES: dict[str, tuple[str, ...]] = {
    "thing": EVERYTHING, "things": EVERYTHING, "plural": EVERYTHING, "any": EVERYTHING,
    "object": ("thing", "vehicle"), "objects": ("thing", "vehicle"), "noun": ("thing", "vehicle"),
    "person": ("person",), "people": ("person",), "who": ("person",),
    "animal": ("animal", "creature"), "animals": ("animal", "creature"), "beast": ("animal", "creature"),
    "vehicle": ("vehicle",), "building": ("building",), "control": ("screen",),
}  # fmt: skip
BARE = {"any", "noun", "who", "beast"}
MANY = {"things", "objects", "people", "animals"}

SLOT = re.compile(r"\{([a-z_]+)(\d*)(?:\.([a-z]+))?\}")
COLOURS = re.compile(
    r"\b(red|blue|green|yellow|white|black|brown|grey|orange|pink|purple|silver|golden|beige|turquoise|navy|cream|"
    r"burgundy|ginger|blond|dark-haired|two-tone|colourful)\b"
)


@dataclass
class Words:
    """The vocabulary as lists."""

    scenes: dict[str, dict[str, list[str]]]
    lists: dict[str, dict[str, list[str]]]

    @classmethod
    def read(cls, path: Path) -> Words:
        """Read a vocabulary."""
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        scenes = {name: _split(scene) for name, scene in data.pop("scenes").items()}
        return cls(scenes, {name: _split(table) for name, table in data.items()})


@dataclass
class Noun:
    """A noun in a slot, with its inflections."""

    singular: str
    plural: str
    phrase: str
    gender: str

    def form(self, name: str) -> str:
        """Return the phrase, or the form that a slot names after its dot."""
        he, him, his, himself = (
            ("he", "him", "his", "himself") if self.gender == "m" else ("she", "her", "her", "herself")
        )
        possessive = f"{self.phrase}'" if self.phrase.endswith("s") else f"{self.phrase}'s"
        forms = {"": self.phrase, "s": self.plural, "possessive": possessive}
        return (forms | {"he": he, "him": him, "his": his, "himself": himself})[name]


@dataclass
class Filling:
    """The values of the slots of one message: nouns of one scene, words, typed boxes."""

    words: Words
    rng: random.Random
    scene: dict[str, list[str]]
    simple: bool
    plain: bool
    colourless: bool
    nouns: dict[str, Noun] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, words: Words, rng: random.Random) -> Filling:
        """Choose a scene that has nouns for all the slots of a text."""
        wanted = [CLASSES[match[1]] for match in SLOT.finditer(text) if match[1] in CLASSES]
        fitting = [
            scene for scene in words.scenes.values()
            if all(any(kind in scene for kind in kinds) for kinds in wanted)
        ]  # fmt: skip
        coloured = re.search(r"colou?r", text) is not None
        return cls(words, rng, rng.choice(fitting), len(wanted) > 2, "possessive" in text, coloured)

    def fill(self, text: str) -> str:
        """Fill the slots, equal slots equally, and adjust articles to the next word."""
        text = SLOT.sub(lambda match: self._value(match[1], match[2], match[3] or ""), text)
        return re.sub(r"\b([Aa]) (?=(?!uni|us[aeu]|USB|eu|one\b|UFO)[aeiouAEIOU]|x-|hour|LED)", r"\1n ", text)

    def _value(self, name: str, number: str, form: str) -> str:
        key = name + number
        if name == "box":
            return self._box(key)
        if name not in CLASSES:
            if key not in self.chosen:
                self.chosen[key] = self._word(name)
            if form == "ref":
                return {"first": "A1", "second": "A2"}[self.chosen[key]]
            return self.chosen[key]
        if key not in self.nouns:
            self.nouns[key] = self._noun(name)
        return self.nouns[key].form(form)

    def _word(self, name: str) -> str:
        options = self._places(name) if name in {"place", "relation"} else self.words.lists["words"][name]
        taken = set(self.chosen.values())
        return self.rng.choice([option for option in options if option not in taken])

    def _places(self, name: str) -> list[str]:
        places = self.words.lists["places"]
        if "screen" in self.scene:
            return places["screen"] if name == "place" else ["next to", "to the left of", "above", "below"]
        if name == "relation":
            return places["relation"]
        return places["outside" if {"vehicle", "plant", "animal"} & self.scene.keys() else "place"]

    def _place(self, kind: str) -> str:
        wide = kind in {"building", "site"}
        return self.rng.choice(self.words.lists["places"]["wide"] if wide else self._places("place"))

    def _noun(self, slot: str) -> Noun:
        taken = {noun.singular for noun in self.nouns.values()}
        kinds = [kind for kind in CLASSES[slot] if kind in self.scene]
        options = [(kind, entry) for kind in kinds for entry in self.scene[kind]]
        if "person" in kinds and self.rng.random() < 0.4 / len(kinds):
            options = [("person", entry) for entry in self.words.lists["anyone"]["person"]]
        kind, entry = self.rng.choice([one for one in options if _forms(one[1])[0] not in taken] or options)
        singular, plural, gender = _forms(entry)
        noun = Noun(singular, plural, singular, gender or self.rng.choice("mf"))
        if slot in MANY:
            noun.phrase = self._many(kind, noun)
        elif slot == "plural":
            noun.phrase = plural
        elif slot not in BARE:
            noun.phrase = self._definite(kind, noun, entry)
        return noun

    def _definite(self, kind: str, noun: Noun, entry: str) -> str:
        """Return `the` noun, often with something that distinguishes it."""
        dice = self.rng.random() * (0.75 if self.plain else 1.0) + (0.0 if self.simple else 0.12)
        before = self._fitting("modifiers", kind, noun, entry)
        if dice < 0.38 or re.match(r"(old|little|best|birthday) ", noun.singular):
            return f"the {noun.singular}"
        if dice < 0.66 or self.plain:
            return f"the {before} {noun.singular}"
        if dice < 0.78:
            return f"the {noun.singular} {self._place(kind)}"
        if dice < 0.92:
            return f"the {noun.singular} {self._fitting('after', kind, noun, entry)}"
        if dice < 1.02:
            others = [_forms(one)[0] for one in self.scene.get(kind, []) if _forms(one)[0] != noun.singular]
            if others:
                relation = self.rng.choice(self._places("relation"))
                return f"the {noun.singular} {relation} the {self.rng.choice(others)}"
        many = self._fitting("many", kind, noun, entry)
        return f"the {many} {noun.singular} {self._place(kind)}"

    def _many(self, kind: str, noun: Noun) -> str:
        dice = self.rng.random()
        if dice < 0.45:
            return noun.plural
        if dice < 0.75 and not noun.singular.startswith(("old ", "little ")):
            return f"{self._fitting('many', kind, noun, noun.singular)} {noun.plural}"
        if dice < 0.87:
            return f"{noun.plural} {self._fitting('after_many', kind, noun, noun.singular)}"
        return f"{noun.plural} {self._place(kind)}"

    def _fitting(self, table: str, kind: str, noun: Noun, entry: str) -> str:
        unfit: set[str] = set()
        if self.colourless:
            # A question about a colour must not name it.
            unfit |= {one for one in self.words.lists[table][kind] if COLOURS.search(one)}
        if kind == "person" and noun.singular in self.words.lists["children"]["nouns"]:
            unfit |= set(self.words.lists["children"]["unfit"])
        if kind == "person" and entry.endswith(":f"):
            unfit |= set(self.words.lists["women"]["unfit"])
        spoken = set(noun.singular.split())
        options = self.words.lists[table][kind]
        return self.rng.choice([one for one in options if one not in unfit and not spoken & set(one.split())])

    def _box(self, key: str) -> str:
        if key not in self.chosen:
            x0, y0, x1, y1 = random_box(self.rng)
            self.chosen[key] = self.rng.choice([
                f"({x0},{y0},{x1},{y1})", f"[{x0}, {y0}, {x1}, {y1}]", f"{{<{x0}><{y0}><{x1}><{y1}>}}",
                f"<{x0}><{y0}><{x1}><{y1}>", f"{x0} {y0} {x1} {y1}", f"{x0},{y0},{x1},{y1}",
                f"{{{x0},{y0},{x1},{y1}}}", f"({x0}, {y0}, {x1}, {y1})", f"[{x0} {y0} {x1} {y1}]",
            ])  # fmt: skip
        return self.chosen[key]


def random_box(rng: random.Random) -> list[int]:
    """Return a random box."""
    width, height = rng.randint(4, 55), rng.randint(4, 60)
    x0, y0 = rng.randint(0, 100 - width), rng.randint(0, 100 - height)
    return [x0, y0, x0 + width, y0 + height]


def _split(table: dict[str, str]) -> dict[str, list[str]]:
    return {name: [item.strip() for item in items.split(",")] for name, items in table.items()}


def _forms(entry: str) -> tuple[str, str, str]:
    """Split an entry such as `waitress/waitresses:f` into singular, plural and gender."""
    nouns, _, gender = entry.partition(":")
    singular, _, plural = nouns.partition("/")
    return singular, plural or singular + "s", gender

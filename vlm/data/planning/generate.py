"""Write `generated.jsonl`: messages with the plan they ask for, from hand-written carriers and words.

A carrier is a line such as `where is {thing}? => refer {thing}`. The slots of its message, of its steps and
of the turns before it are filled alike; only then is the message roughened: an argument stays clean.

    python vlm/data/planning/generate.py --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# How many messages of each kind.
COUNTS = {
    "refer": 1690, "detection": 1560, "vqa": 2210, "caption": 650, "grounding": 780, "identify": 910,
    "chat": 1300, "multi-step": 1690, "follow-up": 1690, "language": 520,
}  # fmt: skip
# A carrier is used at most so often.
MOST = 20

# From the name of a slot to the classes of nouns that fill it.
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
QUESTION = re.compile(
    r"(what|which|who|whose|where|when|why|how|is|are|was|were|do|does|did|has|have|had|can|could|should|would|"
    r"will|in the|apart|overall)\b"
)
# Words that may point back at an earlier turn: no turn is put before such a message.
POINTING = re.compile(
    r"\b(it|its|it's|they|them|their|this|that|these|those|here|there|one|ones|he|she|him|her|his|again|what's|"
    r"everything|everybody|anyone|we|describe|else|where)\b"
)
# The same for requests that name what they are after.
TAKEN_UP = re.compile(r"\b(one|ones|others?|them|same|this|these|more|everything|anything|something)\b")
COLOURS = re.compile(
    r"\b(red|blue|green|yellow|white|black|brown|grey|orange|pink|purple|silver|golden|beige|turquoise|navy|cream|"
    r"burgundy|ginger|blond|dark-haired|two-tone|colourful)\b"
)
# How an earlier turn asked for what needs no article.
ASKED = ("find {}", "show me {}", "mark {}", "{}", "{} please", "box {}", "can you find {}?")
Json = dict[str, Any]


@dataclass(frozen=True)
class Carrier:
    """A pattern of messages; `history` and `steps` are in the notation of the carriers' files."""

    name: str
    kind: str
    group: str
    message: str
    steps: str
    history: str = ""
    region: bool = False
    quoted: bool = False
    language: str = ""


@dataclass
class Words:
    """The vocabulary, split into lists."""

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
    """A noun put into a slot, with all that may be asked of it."""

    singular: str
    plural: str
    phrase: str
    gender: str

    def form(self, name: str) -> str:
        """Return the phrase, or the form that a slot asks for after a dot."""
        he, him, his, himself = (
            ("he", "him", "his", "himself") if self.gender == "m" else ("she", "her", "her", "herself")
        )
        possessive = f"{self.phrase}'" if self.phrase.endswith("s") else f"{self.phrase}'s"
        forms = {"": self.phrase, "s": self.plural, "possessive": possessive}
        return (forms | {"he": he, "him": him, "his": his, "himself": himself})[name]


@dataclass
class Filling:
    """What fills the slots of one message: nouns of one scene, words, typed boxes."""

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
        """Fill the slots, the same slot always alike, and set the article to the word after it."""
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
        """Return `the` noun, often with something that tells it from others."""
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
            # Who asks for a thing's colour does not name it.
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
    """Return a box of any place and size."""
    width, height = rng.randint(4, 55), rng.randint(4, 60)
    x0, y0 = rng.randint(0, 100 - width), rng.randint(0, 100 - height)
    return [x0, y0, x0 + width, y0 + height]


def _split(table: dict[str, str]) -> dict[str, list[str]]:
    return {name: [item.strip() for item in items.split(",")] for name, items in table.items()}


def _forms(entry: str) -> tuple[str, str, str]:
    """Return singular, plural and gender of an entry such as `waitress/waitresses:f`."""
    nouns, _, gender = entry.partition(":")
    singular, _, plural = nouns.partition("/")
    return singular, plural or singular + "s", gender


class Noise:
    """How people really type: what surrounds a request, and slips that leave its meaning alone."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        self.rng = rng
        self.lines = {name: lines.strip().splitlines() for name, lines in data["lines"].items()}
        self.shortened: dict[str, str] = data["shortened"]

    def roughen(self, text: str, carrier: Carrier) -> str:
        """Return the message as somebody might have typed it."""
        if carrier.language:
            return self._foreign(text)
        typed = bool(re.search(r"\d+[,> ]", text))
        if not carrier.quoted:
            if self.rng.random() < 0.05:
                text = re.sub(r"\b(the|a|an) ", "", text, count=self.rng.randint(1, 2)) or text
            if self.rng.random() < 0.06:
                text = re.sub(r"[a-z]+", lambda match: self.shortened.get(match[0], match[0]), text)
            if self.rng.random() < 0.09:
                text = self._mistype(text)
            if self.rng.random() < 0.12:
                text = text.replace("'", self.rng.choice(["", "", "\N{RIGHT SINGLE QUOTATION MARK}"]))
        text = self._end(text)
        text = self._case(text, carrier.quoted)
        if carrier.group != "small-talk":
            text = self._surround(text, carrier)
        if not typed and not carrier.quoted and self.rng.random() < 0.02:
            text = text.upper()
        return text

    def _foreign(self, text: str) -> str:
        dice = self.rng.random()
        if dice < 0.3:
            text = text.rstrip("?.!\uff1f\uff01\u3002")
        if dice > 0.85:
            bare = unicodedata.normalize("NFD", text)
            if not re.search("[\u0400-\u9fff]", text):
                text = "".join(sign for sign in bare if not unicodedata.combining(sign))
        return text.lower() if self.rng.random() < 0.3 else text[0].upper() + text[1:]

    def _mistype(self, text: str) -> str:
        words = list(re.finditer(r"\b[a-z]{4,}\b", text))
        for match in self.rng.sample(words, min(len(words), self.rng.choice([1, 1, 1, 2]))):
            word = match[0]
            at = self.rng.randint(1, len(word) - 2)
            slipped = self.rng.choice([
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[: at + 1] + word[at:],
                word[:at] + self._neighbour(word[at]) + word[at + 1 :],
            ])  # fmt: skip
            text = re.sub(rf"\b{word}\b", slipped, text, count=1)
        return text

    def _neighbour(self, letter: str) -> str:
        for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm"):
            if letter in row:
                at = row.index(letter)
                return self.rng.choice(row[max(0, at - 1) : at] + row[at + 1 : at + 2])
        return letter

    def _end(self, text: str) -> str:
        dice = self.rng.random()
        if text.endswith("?"):
            return text[:-1] if dice < 0.3 else text + "?" if dice > 0.97 else text
        if text[-1].isalpha():
            return text + "." if dice < 0.15 else text + "!" if dice > 0.97 else text
        return text

    def _case(self, text: str, quoted: bool) -> str:
        dice = self.rng.random()
        if dice < 0.35:
            return text[0].upper() + text[1:]
        if dice < 0.65 and not quoted:
            return text.lower()
        return text

    def _surround(self, text: str, carrier: Carrier) -> str:
        follow_up, chat = carrier.kind == "follow-up", carrier.kind == "chat"
        dice = self.rng.random()
        if dice < 0.05 and follow_up and not carrier.name.startswith("gen:asked-back"):
            text = text if re.match(r"I\b", text) else text[0].lower() + text[1:]
            return f"{self.rng.choice(self.lines['again'])} {text}"
        if follow_up or carrier.name.startswith("gen:about"):
            return text
        if dice < 0.14:
            opening = self.rng.choice(self.lines[self._openings(text, chat)])
            if opening[-1] not in ".!?" and not re.match(r"I\b|[A-Z]{2}", text):
                text = text[0].lower() + text[1:]
            text = f"{opening} {text}"
        elif dice < 0.2 and not chat:
            text = f"{self.rng.choice(self.lines['contexts'])} {text[0].upper() + text[1:]}"
        dice = self.rng.random()
        if dice < 0.05 and not chat and "please" not in text:
            please = "please" if QUESTION.match(text.lower()) else self.rng.choice(self.lines["pleases"])
            text = f"{text.rstrip('.')} {please}"
        elif dice < 0.1:
            text = f"{text}{'' if text[-1] in '?!.' else '.'} {self.rng.choice(self.lines['closings'])}"
        elif dice < 0.12:
            text = f"{text} {self.rng.choice(self.lines['emoji'])}"
        return text

    def _openings(self, text: str, chat: bool) -> str:
        asks = bool(QUESTION.match(text.lower())) and not chat
        return "asking" if asks and self.rng.random() < 0.4 else "openings"


class Generator:
    """Fills carriers, each message with its steps, its history and its region."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.words = Words.read(HERE / "vocabulary.toml")
        self.noise = Noise(HERE / "noise.toml", self.rng)
        self.carriers, self.clauses = read_carriers(HERE / "carriers")
        plain = {"refer {thing}", "detection {things}", "caption", "grounding"}
        self.plain = [one for one in self.carriers if one.steps in plain and one.group in COUNTS]

    def lines(self) -> Iterator[Json]:
        """Yield as many different messages of each kind as are wanted."""
        for kind, count in COUNTS.items():
            carriers = [one for one in self.carriers if one.kind == kind]
            self.rng.shuffle(carriers)
            seen: set[str] = set()
            uses: Counter[str] = Counter()
            for turn in range(count * 4):
                if len(seen) == count:
                    break
                carrier = carriers[turn % len(carriers)]
                line = self.line(carrier)
                key = json.dumps([line["user"].lower().strip(), line["history"], line["region"]])
                if key not in seen and uses[carrier.name] < MOST:
                    seen.add(key)
                    uses[carrier.name] += 1
                    yield line

    def line(self, carrier: Carrier) -> Json:
        """Return one message of a carrier."""
        message, notation = carrier.message, carrier.steps
        if not notation:
            message, notation = self._joined(message)
        filling = Filling.of(f"{message} {notation} {carrier.history}", self.words, self.rng)
        message = filling.fill(message)
        history = [self._turn(turn, filling) for turn in carrier.history.split(" || ") if turn]
        drawn = carrier.region or (carrier.group in {"refer", "detection"} and self.rng.random() < 0.02)
        line: Json = {
            "kind": carrier.kind,
            "writer": "generated",
            "family": carrier.name,
            "history": self._earlier(carrier, message) + history,
            "user": self.noise.roughen(message, carrier).replace("|", "\n"),
            "region": random_box(self.rng) if drawn else None,
            "steps": [_step(step, message) for step in filling.fill(notation).split(" ; ")],
        }
        return line

    def _joined(self, joiner: str) -> tuple[str, str]:
        """Put single requests into the slots of a joiner, and return their steps in order."""
        steps: list[str] = []
        taken: set[str] = set()

        def clause(match: re.Match[str]) -> str:
            kind = "imperative" if match[1] == "i" else "question"
            text, notation = self.rng.choice([one for one in self.clauses[kind] if one[1] not in taken])
            taken.add(notation)
            # The slots of one clause are not those of another.
            own = rf"{{\g<1>{7 + len(steps)}\g<2>\g<3>}}"
            text, notation = (
                re.sub(r"\{([a-z_]+)(\d*)(\.[a-z]+)?\}", own, part) for part in (text, notation)
            )
            steps.append(notation)
            return text

        return re.sub(r"\{([iq])\d\}", clause, joiner), " ; ".join(steps)

    def _turn(self, notation: str, filling: Filling) -> Json:
        """Return an earlier turn from its notation."""
        notation, _, user = filling.fill(notation).partition(" <- ")
        notation, _, answer = notation.partition(" -> ")
        found = re.search(r" #(\d)$", notation)
        notation = notation.removesuffix(found[0]) if found else notation
        region = random_box(self.rng) if notation.endswith(" @old") else None
        task, _, argument = notation.removesuffix(" @old").partition(" ")
        boxes: list[list[int]] = []
        if task in {"refer", "detection"}:
            usual = self.rng.choice([2, 2, 3, 3, 4, 5, 6]) if task == "detection" else 1
            boxes = [random_box(self.rng) for _ in range(int(found[1]) if found else usual)]
            answer = self._found(task, argument, boxes)
        step = {"task": task, "argument": argument, "boxes": boxes, "region": region}
        return {"user": user or self._asked(task, argument), "steps": [step], "answer": answer}

    def _found(self, task: str, argument: str, boxes: list[list[int]]) -> str:
        named = not re.match(r"(some|any|every|who|other)", argument)
        if task == "detection":
            what = argument if named else "such things"
            return f"I found {len(boxes) or 'no'} {what}." if len(boxes) != 1 else "I found one."
        if not boxes:
            return f"I could not find {argument}."
        what = argument[0].upper() + argument[1:] if named else "It"
        if re.search(r" (on|in|at|by|near|closest|behind) |left|right|middle|nearest", argument) or not named:
            return self.rng.choice(["Here it is.", "I marked it.", "There."])
        middle = (boxes[0][0] + boxes[0][2]) / 2
        side = "on the left" if middle < 40 else "on the right" if middle > 60 else "in the middle"
        return self.rng.choice([f"{what} is {side}.", f"I marked {argument}.", f"{what} is {side}."])

    def _asked(self, task: str, argument: str) -> str:
        """Return words in which an earlier turn may have been asked for."""
        if task == "vqa":
            asked = argument
        elif task == "identify":
            asked = self.rng.choice(["what is this?", "identify this", "what's that?", "what did I mark?"])
        elif re.match(r"some|any|every|who|other|people|things", argument):
            asked = self.rng.choice(ASKED).format(argument)
        else:
            carrier = self.rng.choice([one for one in self.plain if one.group == task])
            asked = re.sub(r"\{things?\}", argument.replace("\\", ""), carrier.message)
        return asked[0].upper() + asked[1:] if self.rng.random() < 0.4 else asked

    def _earlier(self, carrier: Carrier, message: str) -> list[Json]:
        """Return turns that have nothing to do with the message, now and then."""
        pointing = TAKEN_UP if carrier.kind in {"refer", "detection"} else POINTING
        apart = carrier.kind == "language" or bool(carrier.history)
        apart = apart or (carrier.kind != "chat" and bool(pointing.search(message.lower())))
        if self.rng.random() > (0.02 if apart else 0.22):
            return []
        kinds = self.noise.lines["turns" if not apart else "wordy_turns"]
        chosen = self.rng.sample(kinds, self.rng.choice([1, 1, 2]))
        return [self._turn(turn, Filling.of(turn, self.words, self.rng)) for turn in chosen]


def _step(notation: str, message: str) -> Json:
    """Return a step from its notation: task, argument, `@` with the box that it is about."""
    notation, _, ref = notation.partition(" @")
    task, _, argument = notation.partition(" ")
    if argument == "{=}":
        argument = re.sub(r"\b(what|who|where|how)'s\b", r"\1 is", message)
        if QUESTION.match(argument) and not argument.endswith("?"):
            argument += "?"
    step = {"task": task, "argument": argument.strip()}
    return step | {"ref": ref} if ref else step


def read_carriers(folder: Path) -> tuple[list[Carrier], dict[str, list[tuple[str, str]]]]:
    """Return the carriers of all files, and the clauses that joiners join."""
    carriers: list[Carrier] = []
    clauses: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        for group in data.get("group", []):
            carriers += [_carrier(line, group) for line in group["carriers"].splitlines() if line]
        for kind in ("imperative", "question"):
            if "clauses" in data:
                lines = data["clauses"][kind].splitlines()
                clauses[kind] = [_clause(line) for line in lines if line]
        for line in data.get("clauses", {}).get("joiners", "").splitlines():
            if line:
                carriers.append(Carrier(f"gen:join:{_slug(line)}", "multi-step", "join", line, ""))
        if path.stem == "languages":
            for code, language in data.items():
                carriers += _foreign(code, language)
    return _distinct(carriers), clauses


def _clause(line: str) -> tuple[str, str]:
    message, _, steps = line.partition(" => ")
    return message, steps


def _carrier(line: str, group: Json) -> Carrier:
    rest, _, steps = line.partition(" => ")
    message, _, history = rest.partition(" << ")
    return Carrier(
        name=f"gen:{group['name']}:{_slug(message)}",
        kind=group["kind"],
        group=group["name"],
        message=message.strip(),
        steps=steps or group.get("steps", "vqa {=}"),
        history=history,
        region=group.get("region", False),
        quoted=group.get("quoted", False),
    )


def _foreign(code: str, language: Json) -> Iterator[Carrier]:
    """Yield a language's carriers, with some of the things that fill them."""
    things = [[part.strip() for part in one.split("|")] for one in language["things"].split(";")]
    many = [[part.strip() for part in one.split("|")] for one in language["many"].split(";")]
    for number, line in enumerate(filter(None, language["carriers"].splitlines())):
        name = f"gen:{code}:{number + 1}"
        for filling in range(4 if "{" in line.partition(" => ")[0] else 1):
            one, found, english = things[(number + 3 * filling) % len(things)]
            several, plural = many[(number + 2 * filling) % len(many)]
            text = line.replace("{one}", one).replace("{found}", found).replace("{many}", several)
            message, _, steps = text.replace("{en}", english).replace("{ens}", plural).partition(" => ")
            yield Carrier(name, "language", code, message, steps, language=code)


def _distinct(carriers: list[Carrier]) -> list[Carrier]:
    """Number the names of carriers that would share one, except for a language's fillings of one carrier."""
    counts: Counter[str] = Counter()
    named = []
    for carrier in carriers:
        counts[carrier.name] += 1
        if counts[carrier.name] > 1 and not carrier.language:
            carrier = replace(carrier, name=f"{carrier.name}-{counts[carrier.name]}")
        named.append(carrier)
    return named


def _slug(message: str) -> str:
    return "-".join(re.findall(r"[a-z0-9']+", message.lower())[:7]) or "empty"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "generated.jsonl")
    options = parser.parse_args()
    generator = Generator(options.seed)
    lines = list(generator.lines())
    generator.rng.shuffle(lines)
    with options.output.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    main()

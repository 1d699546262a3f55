"""Write `generated.jsonl`: messages with their plans, generated from hand-written templates and words.

A template is a line such as `where is {thing}? => refer {thing}`. The same values fill the slots of its
message, steps and earlier turns. Noise is added to the message only, so arguments stay clean.

    python -m assistant.vlm.data.planning.generate --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .noise import QUESTION, Noise
from .templates import Json, Template, read_templates
from .words import Filling, Words, random_box

HERE = Path(__file__).parent

# The number of messages of each kind.
COUNTS = {
    "refer": 1690, "detection": 1560, "vqa": 2210, "caption": 650, "grounding": 780, "identify": 910,
    "chat": 1300, "multi-step": 1690, "follow-up": 1690, "language": 2400,
}  # fmt: skip
# The most messages from one template.
MOST = 20

POINTING = re.compile(
    r"\b(it|its|it's|they|them|their|this|that|these|those|here|there|one|ones|he|she|him|her|his|again|what's|"
    r"everything|everybody|anyone|we|describe|else|where)\b"
)
# The same for requests that name their target.
TAKEN_UP = re.compile(r"\b(one|ones|others?|them|same|this|these|more|everything|anything|something)\b")
# Earlier requests for something that needs no article.
ASKED = ("find {}", "show me {}", "mark {}", "{}", "{} please", "box {}", "can you find {}?")


class Generator:
    """Fills templates, each with its message, steps, history and region."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.words = Words.read(HERE / "vocabulary.toml")
        self.noise = Noise(HERE / "noise.toml", self.rng)
        self.templates, self.clauses = read_templates(HERE / "templates")
        plain = {"refer {thing}", "detection {things}", "caption", "grounding"}
        self.plain = [one for one in self.templates if one.steps in plain and one.group in COUNTS]

    def shuffled(self) -> list[Json]:
        """Return all messages in the order of the file."""
        lines = list(self.lines())
        self.rng.shuffle(lines)
        return lines

    def lines(self) -> Iterator[Json]:
        """Yield the wanted number of different messages of each kind."""
        for kind, count in COUNTS.items():
            templates = [one for one in self.templates if one.kind == kind]
            self.rng.shuffle(templates)
            seen: set[str] = set()
            uses: Counter[str] = Counter()
            for turn in range(count * 4):
                if len(seen) == count:
                    break
                template = templates[turn % len(templates)]
                line = self.line(template)
                key = json.dumps([line["user"].lower().strip(), line["history"], line["region"]])
                if key not in seen and uses[template.name] < MOST:
                    seen.add(key)
                    uses[template.name] += 1
                    yield line

    def line(self, template: Template) -> Json:
        """Return one message of a template."""
        message, notation = template.message, template.steps
        if not notation:
            message, notation = self._joined(message)
        filling = Filling.of(f"{message} {notation} {template.history}", self.words, self.rng)
        message = filling.fill(message)
        history = [self._turn(turn, filling) for turn in template.history.split(" || ") if turn]
        drawn = template.region or (template.group in {"refer", "detection"} and self.rng.random() < 0.02)
        line: Json = {
            "kind": template.kind,
            "writer": "generated",
            "family": template.name,
            "history": self._earlier(template, message) + history,
            "user": self.noise.roughen(message, template).replace("|", "\n"),
            "region": random_box(self.rng) if drawn else None,
            "steps": [_step(step, message) for step in filling.fill(notation).split(" ; ")],
        }
        return line

    def _joined(self, joiner: str) -> tuple[str, str]:
        """Fill the slots of a joiner with single requests, and return their steps in order."""
        steps: list[str] = []
        taken: set[str] = set()

        def clause(match: re.Match[str]) -> str:
            kind = "imperative" if match[1] == "i" else "question"
            text, notation = self.rng.choice([one for one in self.clauses[kind] if one[1] not in taken])
            taken.add(notation)
            # Keep the slots of the clauses apart.
            own = rf"{{\g<1>{7 + len(steps)}\g<2>\g<3>}}"
            text, notation = (
                re.sub(r"\{([a-z_]+)(\d*)(\.[a-z]+)?\}", own, part) for part in (text, notation)
            )
            steps.append(notation)
            return text

        return re.sub(r"\{([iq])\d\}", clause, joiner), " ; ".join(steps)

    def _turn(self, notation: str, filling: Filling) -> Json:
        """Parse the notation of an earlier turn."""
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
        """Return a message that may have led to an earlier turn."""
        if task == "vqa":
            asked = argument
        elif task == "identify":
            asked = self.rng.choice(["what is this?", "identify this", "what's that?", "what did I mark?"])
        elif re.match(r"some|any|every|who|other|people|things", argument):
            asked = self.rng.choice(ASKED).format(argument)
        else:
            template = self.rng.choice([one for one in self.plain if one.group == task])
            asked = re.sub(r"\{things?\}", argument.replace("\\", ""), template.message)
        return asked[0].upper() + asked[1:] if self.rng.random() < 0.4 else asked

    def _earlier(self, template: Template, message: str) -> list[Json]:
        """Return unrelated earlier turns, for some messages."""
        pointing = TAKEN_UP if template.kind in {"refer", "detection"} else POINTING
        # A message that refers back must not find other turns to refer to.
        complete = template.kind in {"chat", "language"} or bool(template.history)
        apart = not complete and bool(pointing.search(message.lower()))
        if self.rng.random() > (0.02 if apart else 0.25):
            return []
        kinds = self.noise.lines["turns" if not apart else "wordy_turns"]
        chosen = self.rng.sample(kinds, self.rng.choice([1, 1, 2, 3]))
        return [self._turn(turn, Filling.of(turn, self.words, self.rng)) for turn in chosen]


def _step(notation: str, message: str) -> Json:
    """Parse the notation of a step: task, argument, `@` and the symbol of its box."""
    notation, _, ref = notation.partition(" @")
    task, _, argument = notation.partition(" ")
    if argument == "{=}":
        argument = re.sub(r"\b(what|who|where|how)'s\b", r"\1 is", message)
        if QUESTION.match(argument) and not argument.endswith("?"):
            argument += "?"
    step = {"task": task, "argument": argument.strip()}
    return step | {"ref": ref} if ref else step


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "generated.jsonl")
    options = parser.parse_args()
    lines = Generator(options.seed).shuffled()
    with options.output.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    main()

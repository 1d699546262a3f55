"""Make messages look typed by people: surrounding words, typos and other noise that keeps the meaning."""

from __future__ import annotations

import random
import re
import tomllib
import unicodedata
from pathlib import Path

from .templates import Template

QUESTION = re.compile(
    r"(what|which|who|whose|where|when|why|how|is|are|was|were|do|does|did|has|have|had|can|could|should|would|"
    r"will|in the|apart|overall)\b"
)


class Noise:
    """Make messages look typed by people: surrounding words, typos and other noise that keeps the meaning."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        self.rng = rng
        self.lines = {name: lines.strip().splitlines() for name, lines in data["lines"].items()}
        self.shortened: dict[str, str] = data["shortened"]

    def roughen(self, text: str, template: Template) -> str:
        """Return the message as a person might have typed it."""
        if template.language:
            return self._foreign(text)
        typed = bool(re.search(r"\d+[,> ]", text))
        if not template.quoted:
            if self.rng.random() < 0.05:
                text = re.sub(r"\b(the|a|an) ", "", text, count=self.rng.randint(1, 2)) or text
            if self.rng.random() < 0.06:
                text = re.sub(r"[a-z]+", lambda match: self.shortened.get(match[0], match[0]), text)
            if self.rng.random() < 0.09:
                text = self._mistype(text)
            if self.rng.random() < 0.12:
                text = text.replace("'", self.rng.choice(["", "", "\N{RIGHT SINGLE QUOTATION MARK}"]))
        text = self._end(text)
        text = self._case(text, template.quoted)
        if template.group != "small-talk":
            text = self._surround(text, template)
        if not typed and not template.quoted and self.rng.random() < 0.02:
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

    def _surround(self, text: str, template: Template) -> str:
        follow_up, chat = template.kind == "follow-up", template.kind == "chat"
        dice = self.rng.random()
        if dice < 0.05 and follow_up and not template.name.startswith("gen:asked-back"):
            text = text if re.match(r"I\b", text) else text[0].lower() + text[1:]
            return f"{self.rng.choice(self.lines['again'])} {text}"
        if follow_up or template.name.startswith("gen:about"):
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

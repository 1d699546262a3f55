"""What a conversation has spoken of: the things that a later "it" or "the other one" may mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..vlm.grounding import Box
from ..vlm.tasks import Task
from . import words
from .phrases import chunks, definite, head, is_adjective, is_phrase, names_many
from .plan import PastStep, PastTurn
from .words import compiled

_RECENT_TURNS = 8


@dataclass(frozen=True)
class Mention:
    """Something spoken of: a phrase that names it, whether it is several things, and where it was found.

    `step` is the index of the step of the same message that is going to find it, if one is.
    """

    phrase: str
    many: bool
    boxes: tuple[Box, ...] = ()
    step: int | None = None

    @property
    def noun(self) -> str:
        """The head noun."""
        return head(self.phrase)


# "how many red cars are there": what is counted.
COUNTED = compiled(r"how many ((?:(?!(?:are|is|do|does|can|of|in|on)\b)[\w-]+ ){0,3}?[\w-]+)(?= |\?|$)")
_ASKS_FOR_A_THING = compiled(
    r"(?:what|who)(?:'s| is| are)? (?!(?:colou?r|size|time|kind of weather|brand|breed|shape)\b).*"
)
_NO_THING = compiled(r"(?:yes|no|\d+|\w+ing|not sure|unknown|none|nothing)\b")
_LONGEST_ANSWER = 8


def mentions_of(turns: Sequence[PastTurn]) -> list[Mention]:
    """Return what the latest turns spoke of, the most recent first."""
    found: list[Mention] = []
    for turn in reversed(turns[-_RECENT_TURNS:]):
        for index, step in enumerate(reversed(turn.steps)):
            found += mentions_of_step(step, turn.answer if index == 0 else "")
    return found


def mentions_of_step(step: PastStep, answer: str = "") -> list[Mention]:
    """Return what one step spoke of, its answer included, the likeliest to be meant next first."""
    if step.task in (Task.REFER, Task.DETECTION) and step.argument:
        many = step.task is Task.DETECTION or names_many(step.argument)
        return [Mention(definite(step.argument), many, step.boxes)]
    if step.task is Task.IDENTIFY:
        boxes = (step.region,) if step.region else step.boxes
        return [Mention(definite(phrase), names_many(phrase), boxes) for phrase in _entities(answer)[:1]]
    if step.task is Task.VQA:
        asked = [Mention(definite(phrase), names_many(phrase)) for phrase in _entities_asked(step.argument)]
        return _answered(step.argument, answer) + asked
    return [Mention(definite(phrase), names_many(phrase)) for phrase in _entities(answer)]


def mentions_in(text: str, *, phrases_only: bool = False) -> list[Mention]:
    """Return what a remark speaks of, in order; `phrases_only` leaves out words without determiner."""
    found = [chunk.text for chunk in chunks(text) if names_a_thing(chunk.text)]
    if not phrases_only:
        found = found or ([text] if head(text) else [])
        if is_phrase(text) and found:
            found[0] = text.strip(" .,!?")
    return [Mention(definite(phrase), names_many(phrase)) for phrase in found if not _is_picture(phrase)]


def _answered(question: str, answer: str) -> list[Mention]:
    """Return the thing that an answer names, if a thing was asked for."""
    asked = _ASKS_FOR_A_THING.fullmatch(question) and not _NO_THING.match(answer)
    if not answer or not asked or len(answer.split()) > _LONGEST_ANSWER:
        return []
    plain = answer.strip(" .!")
    whole = [plain] if is_phrase(plain) and chunks(plain)[:1] and chunks(plain)[0].start == 0 else []
    named = [phrase for phrase in (whole or _entities(answer))[:1] if not is_adjective(phrase)]
    return [Mention(definite(phrase), names_many(phrase)) for phrase in named]


def _entities(answer: str) -> list[str]:
    """Return what an answer names: its noun phrases, or the whole of a short answer without determiner."""
    found = [chunk.text for chunk in chunks(answer) if not _is_picture(chunk.text)]
    if not found and 0 < len(answer.split()) <= 6 and head(answer):
        return [answer.strip(" .!")]
    return found


def _entities_asked(question: str) -> list[str]:
    counted = COUNTED.match(question)
    named = [counted[1]] if counted and head(counted[1]) else []
    return named + [chunk.text for chunk in chunks(question) if names_a_thing(chunk.text)]


def names_a_thing(phrase: str) -> bool:
    """Return whether a phrase names something in the picture, not the picture or a property."""
    noun = head(phrase).lower()
    return bool(noun) and noun not in words.ATTRIBUTES and not _is_picture(phrase)


def _is_picture(phrase: str) -> bool:
    return head(phrase).lower() in words.PICTURES

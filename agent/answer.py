"""Turn step results into sentences that agree with the boxes and with the model's confidence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..storage.forms import verification_of
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task
from .nouns import PAIRS, bare, is_plural, noun_of, plural, singular
from .plan import Step

# Words for any object rather than for a class.
_ALL = frozenset({"everything", "anything", "objects", "things"})
# A box below this score is more likely wrong than right, and the answer says so (docs/calibration.md).
UNSURE = 0.5


def compose(step: Step, grounded: GroundedText) -> str:
    """Return one step's answer as a sentence; boxes are relative to the full image.

    >>> found = GroundedText("", (GroundedPhrase("the dog", (Box(0, 0, 30, 100, score=0.9),)),))
    >>> compose(Step(Task.REFER, "the dog"), found)
    'The dog is on the left.'
    """
    if step.task is Task.REFER:
        return _location(step.argument, grounded.boxes)
    if step.task is Task.DETECTION:
        return _detections(step.argument, grounded.phrases)
    if step.task is Task.IDENTIFY:
        return _identification(grounded.text) if grounded.text else "I cannot tell."
    return _sentence(grounded.text) if grounded.text else "I have no answer to that."


def compose_unfinished(step: Step, grounded: GroundedText) -> str:
    """Return the partial answer of a stopped step, or "" if there is none.

    A missing box does not mean that the object is absent: the model may not have written it yet.
    """
    if step.task in (Task.REFER, Task.DETECTION):
        return compose(step, grounded) if grounded.boxes else ""
    text = grounded.text.strip()
    return f"{_sentence(text).rstrip('.!?')} …" if text else ""


def compose_doubt(step: Step, text: str, boxes: Sequence[Box]) -> str:
    """Return an answer with the objections that the model raised when it checked its own boxes."""
    objections = [verified for verified in map(verification_of, boxes) if verified and not verified.agrees]
    if not objections:
        return text
    if len(boxes) > 1:
        many = f"about {len(objections)} of the {len(boxes)} boxes"
        return f"{text} (When checked, the model disagrees with itself {many}.)"
    opinion = objections[0].opinion
    if step.task is Task.IDENTIFY:
        return f"{text} (When checked, the model disagrees with itself: it finds that {opinion}.)"
    if is_retracted(step, boxes):
        thing = bare(step.argument)
        return f"I see no {thing}: my only guess is uncertain, and when checked I call it “{opinion}”."
    return f"{text} (When checked, the model disagrees with itself: it calls this “{opinion}”.)"


def is_retracted(step: Step, boxes: Sequence[Box]) -> bool:
    """Return whether the model withdraws its box: the score is low and the check contradicts it."""
    verified = verification_of(boxes[0]) if step.task is Task.REFER and boxes else None
    return verified is not None and not verified.agrees and is_unsure(boxes[0])


def is_unsure(box: Box) -> bool:
    """Return whether a box's score is too low to rely on; a box without a score is trusted."""
    return box.score is not None and box.score < UNSURE


def place(box: Box) -> str:
    """Return where in the image a box's centre lies: "on the left", "at the top right", "in the middle".

    >>> place(Box(70, 0, 90, 20))
    'at the top right'
    """
    across = _third((box.x0 + box.x1) / 2, "left", "right")
    down = _third((box.y0 + box.y1) / 2, "top", "bottom")
    if down and across:
        return f"at the {down} {across}"
    if down:
        return f"at the {down}"
    return f"on the {across}" if across else "in the middle"


def _location(expression: str, boxes: tuple[Box, ...]) -> str:
    thing = bare(expression)
    if not boxes:
        return f"I see no {thing}."
    where = place(boxes[0])
    if is_unsure(boxes[0]):
        return f"I am not sure, but the {thing} may be {where}."
    return f"The {thing} {'are' if _is_plural(thing) else 'is'} {where}."


def _detections(asked: str, phrases: tuple[GroundedPhrase, ...]) -> str:
    found: dict[str, set[Box]] = {}
    for phrase in phrases:  # a small model may repeat a phrase with the same box
        found.setdefault(bare(phrase.text or asked), set()).update(phrase.boxes)
    seen = listed([counted(name, len(boxes)) for name, boxes in found.items()]) or f"no {bare(asked)}"
    if bare(asked).lower() in _ALL:
        return f"I see {seen if found else 'nothing'}. Name a kind of thing, and I will find all of them."
    return f"I see {seen}."


def counted(name: str, count: int) -> str:
    """Return a count and a phrase, with the noun in singular or plural to match.

    >>> counted("brown dog", 2)
    '2 brown dogs'
    """
    noun = noun_of(name)
    if noun and not (count == 1 and noun.lower() in PAIRS):
        inflected = singular(noun) if count == 1 else plural(noun)
        name = re.sub(rf"\b{re.escape(noun)}\b", inflected, name, count=1)
    return f"{count} {name}"


def _is_plural(phrase: str) -> bool:
    return is_plural(noun_of(phrase))


def listed(parts: Sequence[str]) -> str:
    """Return words as a list: `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _identification(phrase: str) -> str:
    if _is_plural(phrase):
        return _sentence(f"these are {phrase}")
    if bare(phrase) != phrase:
        return _sentence(f"this is {phrase}")
    return _sentence(f"this is {'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}")


def _sentence(text: str) -> str:
    # The human captions in the training data have spaces before commas.
    text = re.sub(r"\s+([,.!?])", r"\1", text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _third(centre: float, low: str, high: str) -> str:
    return low if centre < 36 else high if centre > 64 else ""

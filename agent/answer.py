"""Words for a person, from what the steps found: they agree with the boxes and with how sure the model is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..storage import Verification
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task
from .nouns import PAIRS, bare, is_plural, noun_of, plural, singular
from .plan import Step

# Who asks for these names no kind of thing.
_ALL = frozenset({"everything", "anything", "objects", "things"})
# A box that is more probably wrong than right is told with a doubt (docs/calibration.md).
UNSURE = 0.5


def compose(step: Step, grounded: GroundedText) -> str:
    """Return one step's answer as a sentence; its boxes are those of the whole picture."""
    if step.task is Task.REFER:
        return _referral(step.argument, grounded.boxes)
    if step.task is Task.DETECTION:
        return _detections(step.argument, grounded.phrases)
    if step.task is Task.IDENTIFY:
        return _naming(grounded.text) if grounded.text else "I cannot tell."
    return _sentence(grounded.text) if grounded.text else "I have no answer to that."


def compose_unfinished(step: Step, grounded: GroundedText) -> str:
    """Return what had been said of a step's answer when it was stopped; empty where that is nothing.

    Boxes that are not there yet are no sign that the thing is not there.
    """
    if step.task in (Task.REFER, Task.DETECTION):
        return compose(step, grounded) if grounded.boxes else ""
    said = grounded.text.strip()
    return f"{_sentence(said).rstrip('.!?')} …" if said else ""


def compose_doubt(
    step: Step, text: str, boxes: Sequence[Box], verifications: Sequence[Verification | None]
) -> str:
    """Return an answer with what the model holds against its own boxes when it is asked back about them."""
    against = [verified for verified in verifications if verified and not verified.agrees]
    if not against:
        return text
    if len(boxes) > 1:
        many = f"about {len(against)} of the {len(boxes)} boxes"
        return f"{text} (Asked back, the model itself disagrees {many}.)"
    opinion = against[0].opinion
    if step.task is Task.IDENTIFY:
        return f"{text} (Asked back, the model itself disagrees: it finds that {opinion}.)"
    if is_retracted(step, boxes, verifications):
        return (
            f"I see no {bare(step.argument)}: my one guess is unsure, and asked back I call it “{opinion}”."
        )
    return f"{text} (Asked back, the model itself disagrees: it calls this “{opinion}”.)"


def is_retracted(step: Step, boxes: Sequence[Box], verifications: Sequence[Verification | None]) -> bool:
    """Return whether what a step found is no find: the model was unsure of its box, and denies it."""
    if step.task is not Task.REFER or not verifications or verifications[0] is None:
        return False
    return not verifications[0].agrees and is_unsure(boxes[0])


def is_unsure(box: Box) -> bool:
    """Return whether a box's score is too low to build on; a box without a score is taken as it is."""
    return box.score is not None and box.score < UNSURE


def place(box: Box) -> str:
    """Say where in the picture a box's centre lies: "on the left", "at the top right", "in the middle"."""
    across = _third((box.x0 + box.x1) / 2, "left", "right")
    down = _third((box.y0 + box.y1) / 2, "top", "bottom")
    if down and across:
        return f"at the {down} {across}"
    if down:
        return f"at the {down}"
    return f"on the {across}" if across else "in the middle"


def _referral(expression: str, boxes: tuple[Box, ...]) -> str:
    thing = bare(expression)
    if not boxes:
        return f"I see no {thing}."
    where = place(boxes[0])
    if is_unsure(boxes[0]):
        return f"I am not sure, but the {thing} may be {where}."
    return f"The {thing} {'are' if _is_plural(thing) else 'is'} {where}."


def _detections(asked: str, phrases: tuple[GroundedPhrase, ...]) -> str:
    found: dict[str, set[Box]] = {}
    for phrase in phrases:  # a small model may write the same phrase with the same box again
        found.setdefault(bare(phrase.text or asked), set()).update(phrase.boxes)
    seen = _listed([counted(name, len(boxes)) for name, boxes in found.items()]) or f"no {bare(asked)}"
    if bare(asked).lower() in _ALL:
        return f"I see {seen if found else 'nothing'}. Name a kind of thing, and I look for all of that kind."
    return f"I see {seen}."


def counted(name: str, count: int) -> str:
    """Return a phrase with how many there are of it, in the number that fits: "2 dogs"."""
    noun = noun_of(name)
    if noun and not (count == 1 and noun.lower() in PAIRS):
        fitting = singular(noun) if count == 1 else plural(noun)
        name = re.sub(rf"\b{re.escape(noun)}\b", fitting, name, count=1)
    return f"{count} {name}"


def _is_plural(phrase: str) -> bool:
    return is_plural(noun_of(phrase))


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _naming(phrase: str) -> str:
    if _is_plural(phrase):
        return _sentence(f"these are {phrase}")
    if bare(phrase) != phrase:
        return _sentence(f"this is {phrase}")
    return _sentence(f"this is {'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}")


def _sentence(text: str) -> str:
    # Human captions, from which the model learnt, put spaces before commas.
    text = re.sub(r"\s+([,.!?])", r"\1", text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _third(centre: float, low: str, high: str) -> str:
    return low if centre < 36 else high if centre > 64 else ""


__all__ = ["UNSURE", "compose", "compose_doubt", "compose_unfinished", "counted"]
__all__ += ["is_retracted", "is_unsure", "place"]

"""Words for a person, from what the steps found: they agree with the boxes and with how sure the model is."""

from __future__ import annotations

import re
from collections import Counter

from ..vlm.answers import Generation
from ..vlm.data.nouns import plural
from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.tasks import Task
from .plan import Step

# Below this score a referral is said with a doubt.
UNSURE = 0.35

_ARTICLE = re.compile(r"(the|a|an|any|some|my|his|her|their|this|that|these|those)\s+", re.IGNORECASE)


def compose(step: Step, generation: Generation) -> str:
    """Return one step's answer as a sentence."""
    grounded = generation.grounded
    if step.task is Task.REFER:
        return _referral(step.argument, grounded.boxes)
    if step.task is Task.DETECTION:
        return _detections(step.argument, grounded.phrases)
    if step.task is Task.IDENTIFY:
        return _sentence(f"this is {_with_article(grounded.text)}") if grounded.text else "I cannot tell."
    return _sentence(grounded.text) if grounded.text else "I have no answer to that."


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
    thing = _ARTICLE.sub("", expression, count=1)
    if not boxes:
        return f"I see no {thing}."
    where = place(boxes[0])
    if boxes[0].score is not None and boxes[0].score < UNSURE:
        return f"I am not sure, but the {thing} may be {where}."
    return f"The {thing} is {where}."


def _detections(asked: str, phrases: tuple[GroundedPhrase, ...]) -> str:
    counts: Counter[str] = Counter()
    for phrase in phrases:
        counts[phrase.text or asked] += len(set(phrase.boxes))
    if not counts:
        return f"I see no {_ARTICLE.sub('', asked, count=1)}."
    return f"I see {_listed([_counted(name, count) for name, count in counts.items()])}."


def _counted(name: str, count: int) -> str:
    name = _ARTICLE.sub("", name, count=1)
    if count > 1 and not name.endswith("s") and name != plural(name):
        name = name if name.endswith(("people", "men", "children")) else plural(name)
    return f"{count} {name}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _with_article(noun: str) -> str:
    if _ARTICLE.match(noun) or noun.endswith("s"):
        return noun
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _sentence(text: str) -> str:
    # Human captions, from which the model learnt, put spaces before commas.
    text = re.sub(r"\s+([,.!?])", r"\1", text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _third(centre: float, low: str, high: str) -> str:
    return low if centre < 36 else high if centre > 64 else ""


__all__ = ["UNSURE", "compose", "place"]

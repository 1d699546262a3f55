"""Make the model check its own boxes: identify what it located, and locate what it identified."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from ..storage import CheckedBox, Verification
from ..vlm.answers import Request
from ..vlm.data.nouns import class_of
from ..vlm.data.referents import COLOURS
from ..vlm.engine.base import GenerationListener, StopOnly
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import place
from .nouns import FEMALE, MALE, PEOPLE, core, noun_of, singular
from .plan import Step

logger = logging.getLogger(__name__)

# Check at most this many boxes of a step; beyond that, a small model mostly repeats itself.
MOST_BOXES = 16
# Two boxes at or above this IoU show the same object, as in the referring expression benchmarks.
SAME_BOX = 0.5
# Nouns too general to contradict another one.
_VAGUE = frozenset(
    {"thing", "something", "anything", "object", "item", "one", "subject", "animal", "creature", "pet"}
    | {"vehicle", "toy", "food", "fruit", "furniture"}
)


def ask_back(
    model: VisionLanguageModel,
    step: Step,
    phrases: Sequence[GroundedPhrase],
    image: Image.Image,
    listener: GenerationListener | None = None,
) -> tuple[GroundedPhrase, ...]:
    """Check each box of a step with the model, all in one batch; return the phrases with checked boxes.

    Located boxes are identified (`identify`), and identified regions are located (`refer`). A box stays as it
    is if it was not checked, or if its check failed, was stopped or is inconclusive. `listener` may stop the
    checks but does not receive their text, which is not part of the answer.
    """
    found = [(phrase.text, box) for phrase in phrases for box in phrase.boxes]
    asked = [(name, box) for name, box in found[:MOST_BOXES] if name.strip()]
    named = step.task is Task.IDENTIFY
    requests = [
        Request(Task.REFER, name, image=image) if named else Request(Task.IDENTIFY, region=box, image=image)
        for name, box in asked
    ]
    try:
        answers = model.generate(requests, listener and StopOnly(listener))
    except (AssistantError, ValueError):  # the answer stays, unverified
        logger.info("verification of %s failed", step.name, exc_info=True)
        return tuple(phrases)
    stopped = listener is not None and listener.should_stop()
    judge = _judge_place if named else _judge_name
    judged = {
        pair: judge(*pair, answer.grounded)
        for pair, answer in zip(asked, answers, strict=True)
        if answer.complete or not stopped
    }

    def checked(phrase: GroundedPhrase) -> GroundedPhrase:
        boxes = (CheckedBox.of(box, judged.get((phrase.text, box))) for box in phrase.boxes)
        return replace(phrase, boxes=tuple(boxes))

    return tuple(map(checked, phrases))


def same_thing(first: str, second: str) -> bool:
    """Return whether two phrases may name the same thing, judging by their nouns.

    Two words for people agree unless one is male and the other female; other phrases agree if they share a
    noun (`the traffic light`, `a light`) or a class (`the sofa`, `a couch`).
    """
    nouns = tuple(singular(noun_of(phrase)).lower() for phrase in (first, second))
    if all(noun in PEOPLE for noun in nouns):
        return MALE.isdisjoint(nouns) or FEMALE.isdisjoint(nouns)
    common = nouns[0] in _words(second) or nouns[1] in _words(first)
    return common or (class_of(first) is not None and class_of(first) == class_of(second))


def _words(phrase: str) -> set[str]:
    return {singular(word).lower() for word in core(phrase)}


def _is_known(phrase: str) -> bool:
    """Return whether a phrase has a known noun: `the dog`, but not `the leftmost` or `le chien`."""
    noun = singular(noun_of(phrase)).lower()
    return noun not in _VAGUE and (noun in PEOPLE or class_of(phrase) is not None)


def _is_specific(phrase: str) -> bool:
    """Return whether the noun of a phrase names one kind of thing."""
    return singular(noun_of(phrase)).lower() not in _VAGUE | COLOURS | {""}


def _judge_name(name: str, box: Box, answer: GroundedText) -> Verification | None:  # noqa: ARG001
    opinion = answer.text.strip()
    if opinion and same_thing(name, opinion):
        return Verification(True, opinion)
    return Verification(False, opinion) if _is_known(name) and _is_specific(opinion) else None


def _judge_place(name: str, box: Box, answer: GroundedText) -> Verification:  # noqa: ARG001
    if not answer.boxes:
        return Verification(False, "nowhere")
    return Verification(answer.boxes[0].iou(box) >= SAME_BOX, place(answer.boxes[0]))

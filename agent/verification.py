"""Asking the model back about its own boxes: does it name what it found, and find what it named?"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from PIL import Image

from ..storage import Verification
from ..vlm.answers import Request
from ..vlm.data.nouns import class_of
from ..vlm.data.referents import COLOURS
from ..vlm.engine.base import GenerationListener
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import place
from .nouns import FEMALE, MALE, PEOPLE, core, noun_of, singular
from .plan import Step

logger = logging.getLogger(__name__)

# Boxes of one step that are asked about; a small model would rather repeat itself than find more.
MOST_BOXES = 16
# How far a box must overlap the first one to be the same, as in the measure of referring expressions.
SAME_BOX = 0.5
# Nouns that fit things of many kinds: who says one of them contradicts nobody.
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
) -> tuple[Verification | None, ...]:
    """Return what the model says when it is asked back about each box of a step, all in one batch.

    What was found is named (`identify`), and what was named is looked for (`refer`). None stands for a box
    that was not asked about, or whose answer is missing, was stopped, or cannot be compared; where that is
    so of every box, the tuple is empty. `listener` may stop the questions but does not hear them, since they
    are no part of the answer.
    """
    found = [(phrase.text, box) for phrase in phrases for box in phrase.boxes]
    asked = [(name, box) for name, box in found[:MOST_BOXES] if name.strip()]
    named = step.task is Task.IDENTIFY
    requests = [
        Request(Task.REFER, name, image=image) if named else Request(Task.IDENTIFY, region=box, image=image)
        for name, box in asked
    ]
    try:
        answers = model.generate(requests, _Stop(listener) if listener else None)
    except (AssistantError, ValueError):  # the answer stands, without a second opinion
        logger.info("asking back about %s failed", step.name, exc_info=True)
        return ()
    stopped = listener is not None and listener.wants_stop()
    judge = _judge_place if named else _judge_name
    judged = {
        pair: judge(*pair, answer.grounded)
        for pair, answer in zip(asked, answers, strict=True)
        if answer.complete or not stopped
    }
    verifications = tuple(judged.get(pair) for pair in found)
    return verifications if any(verifications) else ()


class _Stop:
    """Passes on that a listener wants a stop, and nothing else."""

    def __init__(self, listener: GenerationListener) -> None:
        self._listener = listener

    def heard(self, request: int, raw: str) -> None:
        pass

    def wants_stop(self) -> bool:
        return self._listener.wants_stop()


def same_thing(first: str, second: str) -> bool:
    """Return whether two phrases may name the same thing, judged by their nouns.

    People are people unless one is male and the other female; other things agree if they have a noun in
    common (`the traffic light`, `a light`) or belong to one class (`the sofa`, `a couch`).
    """
    nouns = tuple(singular(noun_of(phrase)).lower() for phrase in (first, second))
    if all(noun in PEOPLE for noun in nouns):
        return MALE.isdisjoint(nouns) or FEMALE.isdisjoint(nouns)
    common = nouns[0] in _words(second) or nouns[1] in _words(first)
    return common or (class_of(first) is not None and class_of(first) == class_of(second))


def _words(phrase: str) -> set[str]:
    return {singular(word).lower() for word in core(phrase)}


def _is_known(phrase: str) -> bool:
    """Return whether it is known what a phrase names: `the dog`, but not `the leftmost` or `le chien`."""
    noun = singular(noun_of(phrase)).lower()
    return noun not in _VAGUE and (noun in PEOPLE or class_of(phrase) is not None)


def _says_what(phrase: str) -> bool:
    """Return whether a phrase has a noun that tells one kind of thing from others."""
    return singular(noun_of(phrase)).lower() not in _VAGUE | COLOURS | {""}


def _judge_name(name: str, box: Box, said: GroundedText) -> Verification | None:  # noqa: ARG001
    opinion = said.text.strip()
    if opinion and same_thing(name, opinion):
        return Verification(True, opinion)
    return Verification(False, opinion) if _is_known(name) and _says_what(opinion) else None


def _judge_place(name: str, box: Box, said: GroundedText) -> Verification:  # noqa: ARG001
    if not said.boxes:
        return Verification(False, "nowhere")
    return Verification(said.boxes[0].iou(box) >= SAME_BOX, place(said.boxes[0]))


__all__ = ["MOST_BOXES", "SAME_BOX", "ask_back", "same_thing"]

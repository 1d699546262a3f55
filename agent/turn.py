"""One turn: run the steps of a plan over a picture, and answer in words."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from PIL import Image

from ..storage import Verification
from ..vlm.answers import Request
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task, Turn
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import compose, compose_doubt, compose_unfinished, is_retracted, is_unsure
from .listening import TurnListener
from .plan import Plan, Step
from .replies import REPLIES
from .verification import ask_back

logger = logging.getLogger(__name__)

NO_REGION = "no region is marked: draw a box, or give --region x0,y0,x1,y1"
NOTHING_SAID = "You stopped me before I had an answer."
# A message that asks for more than this is a list to be worked off: the person is told to ask again.
STEP_LIMIT = 8


@dataclass(frozen=True)
class StepResult:
    """A step as it was run, the sentence that it came to, and what the model wrote.

    `error` says why it failed, or is None; `stopped` tells that it was ended before the model had done.
    `verifications` is empty, or has one for each box in the order of the phrases; a box that the model takes
    back is in neither, only in `raw`.
    """

    step: Step
    text: str
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    stopped: bool = False
    verifications: tuple[Verification | None, ...] = ()


@dataclass(frozen=True)
class TurnResult:
    """The answer to one message; `seconds` is wall time.

    `stopped` tells that the person ended it: the last of `steps` may be unfinished, and further ones of the
    plan were not run.
    """

    plan: Plan
    steps: tuple[StepResult, ...]
    answer: str
    seconds: float
    stopped: bool = False

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """Every phrase that was grounded, in the order of the steps."""
        return tuple(phrase for step in self.steps for phrase in step.phrases)


@dataclass(frozen=True)
class Surroundings:
    """What every step of a turn is run with; `verify` has the model asked back about its boxes."""

    model: VisionLanguageModel
    image: Image.Image | None
    history: tuple[Turn, ...] = ()
    listener: TurnListener | None = None
    verify: bool = False


def run(
    model: VisionLanguageModel,
    plan: Plan,
    image: Image.Image | None,
    history: tuple[Turn, ...] = (),
    listener: TurnListener | None = None,
    verify: bool = False,
) -> TurnResult:
    """Run the steps in order; one that fails says so and leaves the others their results.

    A listener that wants a stop ends the running step with what the model has written so far. What a
    listener raises is the caller's: see `GuardedListener`.
    """
    start = time.perf_counter()
    surroundings = Surroundings(model, image, history, listener, verify)
    if listener:
        listener.planned(plan)
    results: tuple[StepResult, ...] = ()
    while (more := run_next(surroundings, plan, results)) is not None:
        results = more
    return finish(plan, results, time.perf_counter() - start)


def run_next(
    surroundings: Surroundings, plan: Plan, results: tuple[StepResult, ...]
) -> tuple[StepResult, ...] | None:
    """Run the step that comes next; return the results with its own, or None where the turn is at its end."""
    number, listener = len(results), surroundings.listener
    if number == min(len(plan.steps), STEP_LIMIT) or (results and results[-1].stopped):
        return None
    if listener and listener.wants_stop():
        return None
    result = _run_step(surroundings, in_place(plan.steps[number], results), number)
    if listener:
        listener.finished(number, result)
    return (*results, result)


def finish(plan: Plan, results: tuple[StepResult, ...], seconds: float) -> TurnResult:
    """Answer in words, from the results of all steps that were run."""
    one = len(plan.steps) == 1
    texts = [_told(result, one) for result in results if result.text] or [NOTHING_SAID]
    stopped = len(results) < min(len(plan.steps), STEP_LIMIT) or results[-1].stopped
    if len(plan.steps) > STEP_LIMIT and not stopped:
        texts.append(f"I do at most {STEP_LIMIT} things at once: ask me again for the rest.")
    return TurnResult(plan, results, " ".join(dict.fromkeys(texts)), seconds, stopped)


def _told(result: StepResult, one: bool) -> str:
    """Return what a step came to; among others a short answer stands behind its question."""
    if one or result.error or result.step.task is not Task.VQA:
        return result.text
    question = result.step.argument.strip()
    return f"{question[:1].upper()}{question[1:].rstrip('?.! ')}? {result.text}"


def failed(step: Step, error: str, seconds: float = 0.0) -> StepResult:
    """Return what is told of a step that could not be done."""
    return StepResult(step, f"I could not do [{step.name}]: {error}.", error=error, seconds=seconds)


def in_place(step: Step, results: tuple[StepResult, ...]) -> Step:
    """Return the step with the region that an earlier one found, if the model is sure of that."""
    if step.region_from is None:
        return step
    found = results[step.region_from]
    boxes = [box for phrase in found.phrases for box in phrase.boxes]
    doubted = any(verified and not verified.agrees for verified in found.verifications)
    sure = len(boxes) == 1 and not doubted and not is_unsure(boxes[0])
    return replace(step, region=boxes[0] if sure else None)


class _Ear:
    """What the model is given to tell one step's listener; the step is the only request of its batch."""

    def __init__(self, listener: TurnListener, step: int) -> None:
        self._listener = listener
        self._step = step
        self._stopped = False

    def heard(self, request: int, raw: str) -> None:  # noqa: ARG002
        self._listener.heard(self._step, raw)

    def wants_stop(self) -> bool:
        self._stopped = self._stopped or self._listener.wants_stop()
        return self._stopped


def _run_step(surroundings: Surroundings, step: Step, number: int) -> StepResult:
    if step.reply:
        return StepResult(step, REPLIES[step.reply])
    start = time.perf_counter()
    image, listener = surroundings.image, surroundings.listener
    ear = _Ear(listener, number) if listener else None
    try:
        request = _request(step, image, surroundings.history)
        generation = surroundings.model.generate([request], ear)[0]
    except (AssistantError, ValueError) as error:
        logger.info("step %s failed", step.name, exc_info=True)
        return failed(step, str(error), time.perf_counter() - start)
    grounded = generation.grounded
    # An answer may also be incomplete because it came to its longest.
    stopped = ear is not None and not generation.complete and ear.wants_stop()
    text = (compose_unfinished if stopped else compose)(step, grounded)
    phrases = _phrases(step, grounded)
    verifications: tuple[Verification | None, ...] = ()
    if surroundings.verify and image is not None and not stopped:
        verifications = ask_back(surroundings.model, step, phrases, image, ear)
        boxes = [box for phrase in phrases for box in phrase.boxes]
        text = compose_doubt(step, text, boxes, verifications)
        if is_retracted(step, boxes, verifications):
            phrases, verifications = (), ()
    seconds = time.perf_counter() - start
    return StepResult(step, text, grounded.raw, phrases, seconds, None, stopped, verifications)


def _request(step: Step, image: Image.Image | None, history: tuple[Turn, ...]) -> Request:
    if image is None and step.task is not None:
        raise AssistantError("there is no picture to look at: give one")
    if step.task is Task.IDENTIFY and step.region is None:
        raise AssistantError(NO_REGION)
    region = step.region if image else None
    history = () if step.task or region else history
    return Request(step.task, step.argument, region, image, history, step.typed)


def _phrases(step: Step, grounded: GroundedText) -> tuple[GroundedPhrase, ...]:
    """Name boxes that the model wrote without a phrase after what was asked for."""
    if step.task is Task.IDENTIFY and step.region is not None:
        return (GroundedPhrase(grounded.text, (step.region,)),)
    named = (replace(phrase, text=phrase.text or step.argument) for phrase in grounded.phrases)
    if step.task is Task.REFER:
        return tuple(GroundedPhrase(phrase.text, phrase.boxes[:1]) for phrase in named)[:1]
    return _once(named)


def _once(phrases: Iterable[GroundedPhrase]) -> tuple[GroundedPhrase, ...]:
    """Leave out what a small model repeats: a box that the same phrase has had before."""
    seen: set[tuple[str, Box]] = set()
    kept: list[GroundedPhrase] = []
    for phrase in phrases:
        boxes = tuple(box for box in dict.fromkeys(phrase.boxes) if (phrase.text, box) not in seen)
        seen.update((phrase.text, box) for box in boxes)
        if boxes:
            kept.append(GroundedPhrase(phrase.text, boxes, phrase.start))
    return tuple(kept)


__all__ = [
    "NOTHING_SAID",
    "NO_REGION",
    "STEP_LIMIT",
    "StepResult",
    "Surroundings",
    "TurnResult",
    "failed",
    "finish",
    "in_place",
    "run",
    "run_next",
]
